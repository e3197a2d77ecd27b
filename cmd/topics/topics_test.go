package topics

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const page = "# fruit - what grows\n" + `
Some ` + "`fruit` *grow* on **trees** (`grow on`)" + `, see [trees](trees.md), [a file](../a/b.md) and [the web](https://example.org/x). ` + "`ftl help fruit`" + ` is whole.

| fruit | is |
|---|---|
| ` + "`apple`, `pear\\|quince`" + ` | round, and keeps over the winter if it is kept in a cool place |
| plum | |

## Where it grows

| place | soil | sun |
|---|---|---|
| hill | sand | a lot |
| dale | | none |

- one
- two, which is a longer item than the one above and has to be broken

` + "```sh\nftl help   fruit\n```\n"

func TestText(t *testing.T) {
	want := `fruit - what grows

Some fruit grow on trees ("grow on"), see trees (ftl help
trees), a file and the web <https://example.org/x>.
"ftl help fruit" is whole.

  apple, pear|quince  round, and keeps over the winter if it
                      is kept in a cool place
  plum

WHERE IT GROWS

  hill
      soil: sand
      sun: a lot
  dale
      sun: none

- one
- two, which is a longer item than the one above and has to
  be broken

    ftl help   fruit
`
	if got := parse("fruit", page).Text(60); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestEveryTopic reads each topic as a terminal of 80 columns shows it: its
// lines fit, and nothing in it is still Markdown.
func TestEveryTopic(t *testing.T) {
	all := All()
	files, err := filepath.Glob("*.md")
	if err != nil || len(all) != len(files) || len(all) < 10 {
		t.Fatalf("got %d topics of %d files, %v", len(all), len(files), err)
	}
	markup := regexp.MustCompile("^#|^\\| .* \\|$|\\]\\(|`|\\*\\*")
	for _, topic := range all {
		page, err := os.ReadFile(topic.Name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		if title := "# " + topic.Name + " - "; topic.Short == "" || !strings.HasPrefix(string(page), title) {
			t.Errorf("%s.md does not begin with %q and what it is about", topic.Name, title)
		}
		text := topic.Text(80)
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			if code := strings.HasPrefix(line, "    "); !code && (markup.MatchString(line) || utf8.RuneCountInString(line) > 80) {
				t.Errorf("%s: %q", topic.Name, line)
			}
			if utf8.RuneCountInString(line) > 130 {
				t.Errorf("%s: a line of code of more than 126 characters: %q", topic.Name, line)
			}
		}
		for _, name := range regexp.MustCompile(`\(ftl help ([a-z-]+)\)`).FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(name[1] + ".md"); err != nil {
				t.Errorf("%s names the topic %s: %v", topic.Name, name[1], err)
			}
		}
	}
}
