package cmd

import (
	"slices"
	"strings"
	"testing"
)

// The rules are those of systemd.exec(5), and the values what systemd 252 makes of these lines.
func TestParseEnv(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"comments", "# A=1\n;B=2\n\n  # C=3\n", ""},
		{"plain", "A=1\nB=two words\n", "A=1|B=two words"},
		{"no newline at the end", "A=1", "A=1"},
		{"carriage returns", "A=1\r\nB=2\r\n", "A=1|B=2"},
		{"empty", "A=\nB=''", "A=|B="},
		{"white space around", "  A = \t 1 2 \t\n", "A=1 2"},
		{"a value with everything", "A=s3://b/c=d#e;f", "A=s3://b/c=d#e;f"},
		{"nothing is expanded", "A=$HOME\nB=\"${HOME}\"\nC=~", "A=$HOME|B=${HOME}|C=~"},
		{"single quotes", `A='x \n "y" $z'`, `A=x \n "y" $z`},
		{"double quotes", `A="x \"y\" \\ \$ \` + "`" + ` \n"`, `A=x "y" \ $ ` + "`" + ` \n`},
		{"quotes over lines", "A='1\n2'\nB=\"3\n4\"", "A=1\n2|B=3\n4"},
		{"white space in quotes", "A=' 1 ' \nB=\" 2 \"\t", "A= 1 |B= 2 "},
		{"quotes after quotes", `A='1'"2"3`, "A=123"},
		{"quotes within", `A=it's`, "A=it's"},
		{"continued", "A=1\\\n2\nB=\"3\\\n4\"", "A=12|B=34"},
		{"escaped", `A=\'1\\2\ `, `A='1\2 `},
		{"the same name again", "A=1\nA=2", "A=1|A=2"},
		{"underscores and digits", "_A1=x", "_A1=x"},
		{"beyond ASCII", "A=Zürich", "A=Zürich"},
	}
	for _, test := range tests {
		got, err := parseEnv(test.text)
		var lines []string
		for _, a := range got {
			lines = append(lines, a.name+"="+a.value)
		}
		if text := strings.Join(lines, "|"); err != nil || text != test.want {
			t.Errorf("%s: %q: got %q, %v, want %q", test.name, test.text, text, err, test.want)
		}
	}
}

func TestParseEnvRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no equals sign", "A=1\nB\n", "line 2: it is not of the form NAME=VALUE"},
		{"a word at the end", "A=1\n\n# x\nB", "line 4: it is not"},
		{"no name", "=1", `line 1: "" is not the name`},
		{"export", "export A=1", `write A= without "export"`},
		{"a name with a dash", "A-B=1", `"A-B" is not the name`},
		{"a digit first", "1A=1", `"1A" is not the name`},
		{"an open quote", "A=1\nB='2\nC=3", "line 2: the quote ' is not closed"},
		{"an open double quote", `A="1\"`, `the quote " is not closed`},
		{"no UTF-8", "A=\xff", "UTF-8"},
		{"a NUL", "A=\x00", "UTF-8"},
	}
	for _, test := range tests {
		got, err := parseEnv(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q: got %v, %v, want %q", test.name, test.text, got, err, test.want)
		}
	}
}

// Whatever comes, a value can be written down and read again.
func FuzzParseEnv(f *testing.F) {
	f.Add("A='1'\nB=\"2\"\n# c\nC=3\\\n4")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseEnv(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, a := range all {
			again.WriteString(a.name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(a.value) + "\"\n")
		}
		if got, err := parseEnv(again.String()); err != nil || !slices.Equal(got, all) {
			t.Errorf("%q: got %q, %v, want %q", again.String(), got, err, all)
		}
	})
}

func TestMasked(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"FTL_BUCKET", "s3://releases", "s3://releases"},
		{"FTL_BUCKET", "s3://KEY:SECRET@releases", "s3://****@releases"},
		{"FTL_BUCKET", "s3://KEY:SEC/RET@releases/prefix", "s3://****@releases/prefix"},
		{"FTL_BUCKET", "file:///srv/a@b", "file:///srv/a@b"},
		{"HTTPS_PROXY", "http://me:pass@word@proxy:1/", "http://****@proxy:1/"},
		{"AWS_SECRET_ACCESS_KEY", "abcdefgh", "****"},
		{"AWS_SESSION_TOKEN", "abcdefgh", "****"},
		{"AWS_ACCESS_KEY_ID", "AKIAABCDEFGH", "****EFGH"},
		{"AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token", "/run/token"},
		{"FTL_SIGN_KEY", "-----BEGIN", "****"},
		{"AWS_SECRET_ACCESS_KEY", "", ""},
	} {
		if got := masked(test.name, test.value); got != test.want {
			t.Errorf("%s=%s: got %q, want %q", test.name, test.value, got, test.want)
		}
	}
}
