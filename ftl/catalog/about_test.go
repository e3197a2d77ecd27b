package catalog

import (
	"reflect"
	"strings"
	"testing"
)

func TestAboutIsReadAndShown(t *testing.T) {
	tests := []struct {
		text  string
		shown string
		steps []string
	}{
		{`{}`, "", nil},
		{`{"name":"My Site"}`, "My Site", nil},
		{`{"description":"Pages of Vienna"}`, "Pages of Vienna", nil},
		{`{"name":"My Site","description":"Pages of Vienna","url":"https://my.site/?a=b","steps":["migrate","warm cache"],"version":7}`,
			"My Site: Pages of Vienna (https://my.site/?a=b)", []string{"migrate", "warm cache"}},
		{`{"url":"http://my.site"}`, "(http://my.site)", nil},
		{`{"name":"Žluťoučký kůň"}`, "Žluťoučký kůň", nil},
	}
	for _, test := range tests {
		about, err := ParseAbout([]byte(test.text))
		if err != nil || about.String() != test.shown || !reflect.DeepEqual(about.Steps, test.steps) {
			t.Errorf("%s: got %q, %q, %v", test.text, about, about.Steps, err)
		}
		again, err := readAbout(about.text())
		if err != nil || again.String() != test.shown || len(again.Steps) != len(test.steps) {
			t.Errorf("%s: after a header: %q, %q, %v", test.text, again, again.Steps, err)
		}
	}
}

func TestAboutIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":      `name: My Site`,
		"not an object": `["My Site"]`,
		"another type":  `{"name":7}`,
		"long name":     `{"name":"` + strings.Repeat("x", 65) + `"}`,
		"long text":     `{"description":"` + strings.Repeat("x", 501) + `"}`,
		"an escape":     `{"description":"\u001b[31m"}`,
		"two lines":     `{"name":"a\nb"}`,
		"a url of none": `{"url":"javascript:alert(1)"}`,
		"half a url":    `{"url":"http://%"}`,
		"a path":        `{"url":"/index.html"}`,
		"many steps":    `{"steps":["a"` + strings.Repeat(`,"a"`, 30) + `]}`,
		"an odd step":   `{"steps":["\u202e"]}`,
		"no step":       `{"steps":[""]}`,
		"all too long":  `{"description":"` + strings.Repeat("é", 250) + `","url":"http://` + strings.Repeat("x", 490) + `","steps":["` + strings.Repeat(strings.Repeat("&", 63)+`","`, 29) + `a"]}`,
		"a long file":   `{"more":"` + strings.Repeat("x", MaxAboutFile) + `"}`,
	} {
		if about, err := ParseAbout([]byte(text)); err == nil {
			t.Errorf("%s: got %q", name, about)
		}
	}
}
