package s3test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// aged is an object of which the proxy says that it was written at another time.
type aged struct {
	etag string
	then time.Time
}

// SetModified lets the proxy say, of an object under a key with its prefix, that it was written
// then. No S3 server can be told so. Another object under the key has its own time.
func (p *Proxy) SetModified(key, etag string, then time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aged == nil {
		p.aged = make(map[string]aged)
	}
	p.aged[key] = aged{strings.Trim(etag, `"`), then}
}

func (p *Proxy) age(key, etag string) (aged, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.aged[key]
	return a, ok && a.etag == strings.Trim(etag, `"`)
}

// rewriteTimes changes the times in an answer about an object, or in a listing.
func (p *Proxy) rewriteTimes(resp *http.Response, key string) error {
	p.mu.Lock()
	some := len(p.aged) > 0
	p.mu.Unlock()
	if !some || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		return nil
	}
	if key != "" {
		if a, ok := p.age(key, resp.Header.Get("Etag")); ok {
			resp.Header.Set("Last-Modified", a.then.UTC().Format(http.TimeFormat))
		}
		return nil
	}
	listing, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	listing = contents.ReplaceAllFunc(listing, p.rewriteListed)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(listing)), int64(len(listing))
	return nil
}

var (
	contents = regexp.MustCompile(`(?s)<Contents>.*?</Contents>`)
	listed   = regexp.MustCompile(`(?s)<(Key|ETag|LastModified)>(.*?)</`)
	modified = regexp.MustCompile(`<LastModified>[^<]*<`)
)

func (p *Proxy) rewriteListed(object []byte) []byte {
	values := make(map[string]string)
	for _, match := range listed.FindAllSubmatch(object, -1) {
		values[string(match[1])] = string(match[2])
	}
	etag := strings.NewReplacer("&quot;", "", "&#34;", "").Replace(values["ETag"])
	a, ok := p.age(values["Key"], etag)
	if !ok {
		return object
	}
	return modified.ReplaceAll(object, []byte("<LastModified>"+a.then.UTC().Format("2006-01-02T15:04:05.000Z")+"<"))
}
