package probe

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// loading are the attributes by which elements of a page load something, or send
// something off. What a person may follow, such as the href of an a, is not among
// them. "*" is every element.
var loading = map[string][]string{
	"*":       {"background"},
	"audio":   {"src"},
	"base":    {"href"}, // what everything else is relative to
	"button":  {"formaction"},
	"embed":   {"src"},
	"feimage": {"href", "xlink:href"},
	"form":    {"action"},
	"frame":   {"src"},
	"iframe":  {"src"},
	"image":   {"href", "xlink:href", "src"}, // of SVG; of HTML it is an img
	"img":     {"src", "srcset", "lowsrc"},
	"input":   {"src", "formaction"},
	"link":    {"href", "imagesrcset"},
	"object":  {"data", "codebase"},
	"script":  {"src", "href", "xlink:href"}, // of HTML and of SVG
	"source":  {"src", "srcset"},
	"track":   {"src"},
	"use":     {"href", "xlink:href"},
	"video":   {"src", "poster"},
}

// loadingLinks are the relations of a link element that a browser loads by
// itself. The others, such as canonical, only say what there is.
var loadingLinks = []string{
	"apple-touch-icon", "apple-touch-icon-precomposed", "icon", "manifest", "mask-icon", "modulepreload", "prefetch",
	"preload", "prerender", "stylesheet",
}

// mixedContent says which thing that a page loads is not encrypted, if one is. It
// does not know what a script or a style sheet loads.
func mixedContent(page []byte) error {
	tokens := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); err != io.EOF {
				return fmt.Errorf("read the page: %w", err)
			}
			return nil
		case html.StartTagToken, html.SelfClosingTagToken:
			if err := insecure(tokens.Token()); err != nil {
				return err
			}
		}
	}
}

// insecure says what an element loads over http, if anything.
func insecure(element html.Token) error {
	if element.Data == "link" && !loads(element) {
		return nil
	}
	for _, attribute := range element.Attr {
		key := attribute.Key
		if !slices.Contains(loading[element.Data], key) && !slices.Contains(loading["*"], key) {
			continue
		}
		for _, url := range urls(key, attribute.Val) {
			if isInsecure(url) {
				return fmt.Errorf("mixed content: <%s %s=%q>", element.Data, key, attribute.Val)
			}
		}
	}
	return nil
}

// loads reports whether a browser loads what a link element names.
func loads(link html.Token) bool {
	for _, attribute := range link.Attr {
		if attribute.Key != "rel" {
			continue
		}
		for relation := range strings.FieldsSeq(strings.ToLower(attribute.Val)) {
			if slices.Contains(loadingLinks, relation) {
				return true
			}
		}
	}
	return false
}

// urls returns the URLs in an attribute: one, or a list of which each may have a
// width or a density behind it.
func urls(key, value string) []string {
	if key != "srcset" && key != "imagesrcset" {
		return []string{value}
	}
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || strings.ContainsRune(space, r) })
}

const space = " \t\n\f\r"

// isInsecure reports whether a reference is an http URL, as the URL standard
// reads it: blanks and control characters around it don't count, and neither do
// tabs and newlines anywhere in it.
func isInsecure(reference string) bool {
	reference = strings.TrimFunc(reference, func(r rune) bool { return r <= ' ' })
	reference = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(reference)
	scheme, _, found := strings.Cut(reference, ":")
	return found && strings.EqualFold(scheme, "http")
}
