package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const namespace = "ftl-revision@my_site"

var (
	now     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	clock   = Clock{now, now}
	message = []byte("format 1\npackage my_site\n\n")
)

// keys are private keys of each type that is accepted.
var keys = []struct {
	name string
	make func() (crypto.Signer, error)
}{
	{"ed25519", func() (crypto.Signer, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err }},
	{"ecdsa-256", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	{"ecdsa-384", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
	{"ecdsa-521", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) }},
	{"rsa-3072", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) }},
}

func signerOf(t testing.TB, key crypto.Signer) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	key, err := keys[0].make()
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, key)
}

// listed returns the line of allowed signers for a key.
func listed(options string, key ssh.PublicKey) string {
	return "ops@example.org " + options + " " + string(ssh.MarshalAuthorizedKey(key))
}

func allow(t testing.TB, lines ...string) Signers {
	t.Helper()
	s, err := ParseSigners([]byte(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t testing.TB, signer ssh.Signer, namespace string, message []byte) Signature {
	t.Helper()
	blob, err := (&Key{signer: signer}).Sign(namespace, message)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := Dearmor(Armor(blob))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// sshKeygen runs OpenSSH's own tool.
func sshKeygen(t *testing.T, stdin []byte, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("NOT TESTED against OpenSSH: ssh-keygen (openssh-client) is not here")
	}
	cmd := exec.CommandContext(t.Context(), "ssh-keygen", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// What we sign OpenSSH verifies, and what it signs we do.
func TestOpenSSH(t *testing.T) {
	for _, row := range keys {
		t.Run(row.name, func(t *testing.T) {
			key, err := row.make()
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			write := func(name string, content []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			private, err := ssh.MarshalPrivateKey(key, "")
			if err != nil {
				t.Fatal(err)
			}
			path := write("key", pem.EncodeToMemory(private))
			opened, err := OpenKey(KeySource{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			line := listed(`namespaces="`+namespace+`"`, opened.signer.PublicKey())
			signers := allow(t, line)

			blob, err := opened.Sign(namespace, message)
			if err != nil {
				t.Fatal(err)
			}
			out, err := sshKeygen(t, message, "-Y", "verify", "-f", write("allowed", []byte(line)),
				"-I", "ops@example.org", "-n", namespace, "-s", write("ours", Armor(blob)))
			if err != nil {
				t.Errorf("ssh-keygen refuses our signature: %v\n%s", err, out)
			}

			if out, err := sshKeygen(t, nil, "-Y", "sign", "-f", path, "-n", namespace, write("message", message)); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			theirs, err := os.ReadFile(filepath.Join(dir, "message.sig"))
			if err != nil {
				t.Fatal(err)
			}
			sig, err := Dearmor(theirs)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := signers.Verify(namespace, message, sig, clock); err != nil {
				t.Errorf("we refuse the signature of ssh-keygen: %v", err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	key, other := newSigner(t), newSigner(t)
	all := `namespaces="` + namespace + `"`
	for _, row := range []struct {
		name    string
		signers Signers
		sig     Signature
		message string
		now     Clock
		want    Why
	}{
		{name: "as it should be", signers: allow(t, listed(all, key.PublicKey()))},
		{name: "all revisions", signers: allow(t, listed(`namespaces="ftl-revision@*"`, key.PublicKey()))},
		{name: "one of two lines", signers: allow(t, listed(`namespaces="ftl-marker@*"`, key.PublicKey()), listed(all, key.PublicKey()))},
		{name: "another key", signers: allow(t, listed(all, other.PublicKey())), want: NotListed},
		{name: "nobody", want: NotListed},
		{name: "another message", signers: allow(t, listed(all, key.PublicKey())), message: "x", want: Invalid},
		{name: "another message by an unknown key", signers: allow(t, listed(all, other.PublicKey())), message: "x", want: Invalid},
		{name: "a marker", signers: allow(t, listed(`namespaces="ftl-marker@*"`, key.PublicKey())), want: NotAllowed},
		{name: "another package", signers: allow(t, listed(`namespaces="ftl-revision@your_site"`, key.PublicKey())), want: NotAllowed},
		{name: "all but this", signers: allow(t, listed(`namespaces="ftl-*,!ftl-revision@my_site"`, key.PublicKey())), want: NotAllowed},
		{
			name: "made for another namespace", signers: allow(t, listed(`namespaces="*"`, key.PublicKey())),
			sig: sign(t, key, "ftl-marker@my_site", message), want: WrongNamespace,
		},
		{name: "not yet", signers: allow(t, listed(all+`,valid-after="20261122Z"`, key.PublicKey())), want: NotYetValid},
		{name: "just now", signers: allow(t, listed(all+`,valid-after="202611211200Z"`, key.PublicKey()))},
		{
			name: "not yet by the earlier clock", signers: allow(t, listed(all+`,valid-after="202611211200Z"`, key.PublicKey())),
			now: Clock{now.Add(-time.Second), now}, want: NotYetValid,
		},
		{name: "no more", signers: allow(t, listed(all+`,valid-before="202611211200Z"`, key.PublicKey())), want: NoLongerValid},
		{
			name: "no more by the later clock", signers: allow(t, listed(all+`,valid-before="20261121120001Z"`, key.PublicKey())),
			now: Clock{now, now.Add(time.Second)}, want: NoLongerValid,
		},
		{name: "still", signers: allow(t, listed(all+`,valid-before="20261121120001Z"`, key.PublicKey()))},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.sig.key == nil {
				row.sig = sign(t, key, namespace, message)
			}
			if row.message == "" {
				row.message = string(message)
			}
			if row.now == (Clock{}) {
				row.now = clock
			}
			signer, err := row.signers.Verify(namespace, []byte(row.message), row.sig, row.now)
			refusal, refused := errors.AsType[*Refusal](err)
			switch {
			case row.want == "" && (err != nil || signer.Principals != "ops@example.org" || signer.Fingerprint != ssh.FingerprintSHA256(key.PublicKey())):
				t.Errorf("got %v, %v", signer, err)
			case row.want != "" && (!refused || refusal.Why != row.want || refusal.Fingerprint != ssh.FingerprintSHA256(key.PublicKey())):
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

func TestParseSignersRefuses(t *testing.T) {
	key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey())))
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weakKey := string(ssh.MarshalAuthorizedKey(signerOf(t, weak).PublicKey()))
	good := `ops namespaces="ftl-*" ` + key
	if _, err := ParseSigners([]byte("# people\n\n" + good + " a comment\n")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":               "",
		"comments alone":        "# nobody\n",
		"no namespaces":         "ops " + key,
		"other options alone":   `ops valid-before="20300101Z" ` + key,
		"empty namespaces":      `ops namespaces="" ` + key,
		"local time":            `ops namespaces="*",valid-before="20300101" ` + key,
		"no time":               `ops namespaces="*",valid-before="soon" ` + key,
		"after is not before":   `ops namespaces="*",valid-after="20300101Z",valid-before="20300101Z" ` + key,
		"twice":                 `ops namespaces="*",namespaces="*" ` + key,
		"authority":             `ops cert-authority,namespaces="*" ` + key,
		"unknown option":        `ops namespaces="*",no-touch-required ` + key,
		"unknown with a value":  `ops namespaces="*",restrict="all" ` + key,
		"comma at the end":      `ops namespaces="*", ` + key,
		"quote without an end":  `ops namespaces="* ` + key,
		"escaped quote":         `ops namespaces="\"" ` + key,
		"short RSA key":         `ops namespaces="*" ` + weakKey,
		"no key":                `ops namespaces="*"`,
		"spoiled key":           `ops namespaces="*" ` + strings.Replace(key, "AAAA", "AAAB", 1),
		"key of another type":   `ops namespaces="*" ` + strings.Replace(key, "ssh-ed25519", "ssh-rsa", 1),
		"certificate":           `ops namespaces="*" ` + strings.Replace(key, "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", 1),
		"control character":     "ops\x1b namespaces=\"*\" " + key,
		"one bad line of two":   good + "\nops " + key,
		"no principals":         `"" namespaces="*" ` + key,
		"not an authorized key": "hello",
	} {
		if s, err := ParseSigners([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %v", name, s)
		}
	}
}

func TestMatchAny(t *testing.T) {
	for _, row := range []struct {
		patterns, text string
		want           bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"", "", true}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true},
		{"a*c", "abbd", false}, {"a?c", "abc", true}, {"a?c", "ac", false}, {"*b*", "aba", true}, {"a**b", "ab", true},
		{"*a*a*a*b", strings.Repeat("a", 40), false}, {"ftl-*@my_site", "ftl-marker@my_site", true},
		{"ftl-*@my_site", "ftl-marker@my_site2", false}, {"a,b", "b", true}, {"*,!b", "b", false}, {"!b,*", "b", false}, {"!b", "a", false},
	} {
		if got := matchAny(strings.Split(row.patterns, ","), row.text); got != row.want {
			t.Errorf("%q, %q: got %v", row.patterns, row.text, got)
		}
	}
}

func TestDearmorRefuses(t *testing.T) {
	blob, err := (&Key{signer: newSigner(t)}).Sign(namespace, message)
	if err != nil {
		t.Fatal(err)
	}
	good := string(Armor(blob))
	for name, text := range map[string]string{
		"empty":             "",
		"text before":       "x\n" + good,
		"text after":        good + "x\n",
		"line after":        good + "\n",
		"twice":             good + good,
		"CRLF":              strings.ReplaceAll(good, "\n", "\r\n"),
		"no line end":       strings.TrimSuffix(good, "\n"),
		"header":            strings.Replace(good, "-----\n", "-----\nA: b\n\n", 1),
		"other width":       strings.Replace(good, "\n", "\n\n", 2),
		"blanks":            strings.Replace(good, "\n", " \n", 2),
		"another type":      strings.ReplaceAll(good, "SSH SIGNATURE", "PGP SIGNATURE"),
		"cut":               string(Armor(blob[:len(blob)-1])),
		"longer":            string(Armor(append(bytes.Clone(blob), 0))),
		"a mebibyte":        string(Armor(append(bytes.Clone(blob), make([]byte, 1<<20)...))),
		"nothing in it":     string(Armor(nil)),
		"another magic":     string(Armor(append([]byte("SSHSIX"), blob[6:]...))),
		"version 2":         string(Armor(append([]byte("SSHSIG\x00\x00\x00\x02"), blob[10:]...))),
		"hash of SHA-1":     string(Armor(bytes.Replace(blob, []byte("\x00\x00\x00\x06sha512"), []byte("\x00\x00\x00\x04sha1"), 1))),
		"type of signature": string(Armor(replaceLast(blob, "ssh-ed25519", "ssh-ed25518"))),
	} {
		if _, err := Dearmor([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func replaceLast(data []byte, old, replacement string) []byte {
	i := bytes.LastIndex(data, []byte(old))
	return append(append(bytes.Clone(data[:i]), replacement...), data[i+len(old):]...)
}

func TestWeakKeysAreRefused(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Key{signer: signerOf(t, weak)}).Sign(namespace, message); err == nil {
		t.Error("an RSA key of 2048 bits signs")
	}
	strong, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	signer := signerOf(t, strong).(ssh.AlgorithmSigner)
	data, _ := signedBytes(namespace, "", "sha512", message)
	signature, err := signer.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSA)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseSignature(blobOf(signer.PublicKey(), namespace, signature)); err == nil {
		t.Error("a signature by SHA-1 is accepted")
	}
}

func blobOf(key ssh.PublicKey, namespace string, signature *ssh.Signature) []byte {
	return append([]byte(magic), ssh.Marshal(envelope{1, string(key.Marshal()), namespace, "", "sha512", string(ssh.Marshal(signature))})...)
}

// A FIDO key says in its signature whether somebody has touched it.
func TestFIDO(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const application = "ssh:"
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type   string
		Public []byte
		App    string
	}{ssh.KeyAlgoSKED25519, public, application}))
	if err != nil {
		t.Fatal(err)
	}
	touched := func(flags byte) []byte {
		data, _ := signedBytes(namespace, "", "sha512", message)
		app, sum := sha256.Sum256([]byte(application)), sha256.Sum256(data)
		said := append([]byte{flags}, 0, 0, 0, 7)
		raw := ed25519.Sign(private, append(append(app[:], said...), sum[:]...))
		return blobOf(key, namespace, &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: raw, Rest: said})
	}
	line := listed(`namespaces="*"`, key)
	signers := allow(t, line)
	for flags, want := range map[byte]bool{1: true, 5: true, 0: false, 4: false} {
		sig, err := ParseSignature(touched(flags))
		if err == nil {
			_, err = signers.Verify(namespace, message, sig, clock)
		}
		if (err == nil) != want {
			t.Errorf("flags %d: got %v, accepted should be %v", flags, err, want)
		}
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"allowed": []byte(line), "sig": Armor(touched(1))} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := sshKeygen(t, message, "-Y", "verify", "-f", filepath.Join(dir, "allowed"), "-I", "ops@example.org", "-n", namespace, "-s", filepath.Join(dir, "sig"))
	if err != nil {
		t.Errorf("ssh-keygen refuses it: %v\n%s", err, out)
	}
}

func TestOpenKey(t *testing.T) {
	dir := t.TempDir()
	private, err := keys[0].make()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, block *pem.Block, perm os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), perm); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	answer := func(text string) func(string) ([]byte, error) {
		return func(string) ([]byte, error) { return []byte(text), nil }
	}
	public := filepath.Join(dir, "key.pub")
	if err := os.WriteFile(public, ssh.MarshalAuthorizedKey(signerOf(t, private).PublicKey()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		source KeySource
		want   string // in the error, "" where it opens
	}{
		{"private", KeySource{Path: write("open", open, 0o600)}, ""},
		{"others can read it", KeySource{Path: write("shown", open, 0o644)}, "chmod 600"},
		{"passphrase", KeySource{Path: write("locked", locked, 0o600), Passphrase: answer("secret")}, ""},
		{"wrong passphrase", KeySource{Path: filepath.Join(dir, "locked"), Passphrase: answer("hunter2")}, "locked"},
		{"nobody to ask", KeySource{Path: filepath.Join(dir, "locked")}, ErrPassphrase.Error()},
		{"absent", KeySource{Path: filepath.Join(dir, "absent")}, "no such file"},
		{"agent", KeySource{Path: public, Agent: serveAgent(t, private)}, ""},
		{"agent without it", KeySource{Path: public, Agent: serveAgent(t)}, "ssh-add"},
		{"no agent", KeySource{Path: public}, "SSH_AUTH_SOCK"},
		{"agent that is gone", KeySource{Path: public, Agent: filepath.Join(dir, "gone")}, "ask the agent"},
	} {
		t.Run(row.name, func(t *testing.T) {
			key, err := OpenKey(row.source)
			switch {
			case row.want == "" && err != nil:
				t.Fatal(err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || strings.Count(err.Error(), row.source.Path) > 2):
				t.Fatalf("got %v, want %q", err, row.want)
			case row.want != "":
				return
			}
			defer key.Close()
			blob, err := key.Sign(namespace, message)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := ParseSignature(blob)
			if err != nil || key.NeedsTouch() || sig.Fingerprint() != key.Fingerprint() {
				t.Errorf("got %v, %v", sig, err)
			}
		})
	}
}

// serveAgent returns the socket of an agent that has these keys.
func serveAgent(t *testing.T, keys ...crypto.Signer) string {
	t.Helper()
	keyring := agent.NewKeyring()
	for _, key := range keys {
		if err := keyring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "agent") // t.TempDir's are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if err := agent.ServeAgent(keyring, conn); err != nil && err != io.EOF {
					fmt.Fprintln(os.Stderr, "agent:", err)
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func TestNextChangeAndListed(t *testing.T) {
	key := newSigner(t)
	s := allow(t, listed(`namespaces="ftl-*",valid-after="20261101Z",valid-before="20261201Z"`, key.PublicKey()))
	if at, ok := s.NextChange(now); !ok || !at.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v, %v", at, ok)
	}
	if at, ok := s.NextChange(now.AddDate(1, 0, 0)); ok {
		t.Errorf("after the last one: got %v", at)
	}
	fingerprint := ssh.FingerprintSHA256(key.PublicKey())
	if !s.Listed(fingerprint, namespace, clock) {
		t.Error("a listed key is not listed")
	}
	late := now.AddDate(1, 0, 0)
	if s.Listed(fingerprint, namespace, Clock{late, late}) || s.Listed(fingerprint, "other", clock) || s.Listed("SHA256:x", namespace, clock) {
		t.Error("a key is listed that is not, or no more, or for something else")
	}
}

// Whatever is changed of a signature or of what it signs, only what was signed is accepted.
func FuzzVerify(f *testing.F) {
	key := newSigner(f)
	signers := allow(f, listed(`namespaces="ftl-*"`, key.PublicKey()))
	blob, err := (&Key{signer: key}).Sign(namespace, message)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob, message, namespace)
	f.Add(Armor(blob), message, "ftl-marker@my_site")
	f.Fuzz(func(t *testing.T, signature, content []byte, in string) {
		sig, err := ParseSignature(signature)
		if err != nil {
			if sig, err = Dearmor(signature); err != nil {
				return
			}
		}
		if _, err := signers.Verify(in, content, sig, clock); err == nil && (!bytes.Equal(content, message) || in != namespace) {
			t.Errorf("%q in %q is accepted with %s", content, in, base64.StdEncoding.EncodeToString(signature))
		}
	})
}

// A sync of 200 packages verifies 400 statements.
func BenchmarkVerify(b *testing.B) {
	key := newSigner(b)
	signers := allow(b, listed(`namespaces="ftl-*"`, key.PublicKey()))
	sig := sign(b, key, namespace, message)
	for b.Loop() {
		if _, err := signers.Verify(namespace, message, sig, clock); err != nil {
			b.Fatal(err)
		}
	}
}
