package probe

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// references are the attributes by which an element of a page names another
// document.
var references = []string{"href", "src", "srcset", "action", "formaction", "data", "poster", "background"}

// mixedContent says which reference of a page is plain http, if one is. What a
// script or a style sheet loads is not seen.
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
			token := tokens.Token()
			for _, attribute := range token.Attr {
				if slices.Contains(references, attribute.Key) && isPlain(attribute.Val) {
					return fmt.Errorf("mixed content: <%s %s=%q>", token.Data, attribute.Key, attribute.Val)
				}
			}
		}
	}
}

// isPlain reports whether a reference, or one of the list that srcset has, is
// an http URL.
func isPlain(value string) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' }) {
		if strings.HasPrefix(strings.ToLower(part), "http://") {
			return true
		}
	}
	return false
}
