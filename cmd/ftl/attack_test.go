package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	steps "github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
	"github.com/rhettg/ftl/store/s3test"
)

// A thief can write to the bucket whatever he wants. Here he tries, and no byte of his runs on a
// host that requires signatures. The bucket's objects are a map, which an attack changes before a
// host sees it.

// signer is a key, and what the list says of it.
type signer struct {
	key     crypto.Signer
	options string // "" where it is not listed
}

// scene is what a thief finds: revisions a and b were signed and blessed, in this order. Revision c
// is signed, and was never blessed. Revision e is his, and unsigned. The hooks of c and e would
// leave a trace.
type scene struct {
	t          testing.TB
	objects    map[string]string
	a, b, c, e revision.Revision
	marker     []string // lines of the signed marker, newest first
	trace      string   // what the hooks of c and e make
	list       string   // of signers
	signers    map[string]*signer
	serial     int64 // of b's blessing
}

const thisBucket = "releases/production"

var signerOptions = map[string]string{
	"ci": `namespaces="ftl-revision@*"`, "ops": `namespaces="ftl-marker@tool"`, "thief": "",
	"early": `namespaces="ftl-*",valid-after="20900101Z"`, "late": `namespaces="ftl-*",valid-before="20200101Z"`,
	"other": `namespaces="ftl-*@other"`, "rsa": `namespaces="ftl-*"`,
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{t: t, objects: make(map[string]string), signers: make(map[string]*signer), trace: filepath.Join(t.TempDir(), "trace")}
	for _, name := range slices.Sorted(maps.Keys(signerOptions)) {
		var key crypto.Signer
		var err error
		if name == "rsa" {
			key, err = rsa.GenerateKey(rand.Reader, 3072)
		} else {
			_, key, err = ed25519.GenerateKey(rand.Reader)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.signers[name] = &signer{key, signerOptions[name]}
		if options := signerOptions[name]; options != "" {
			s.list += fmt.Sprintf("%s %s %s", name, options, ssh.MarshalAuthorizedKey(s.public(name)))
		}
	}
	dir := t.TempDir()
	bucket, err := store.Open(t.Context(), "file://"+dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &catalog.Catalog{Bucket: bucket, Trust: s.trust()}
	ci := &master.Master{Bucket: c, By: "ci@build", Signing: s.signing("ci")}
	ops := &master.Master{Bucket: c, By: "ops@build", Signing: s.signing("ops")}
	s.a, s.b = s.spool(ci, "a", ""), s.spool(ci, "b", "")
	trap := "#!/bin/sh\necho \"$0\" >>" + steps.Quoted(s.trace) + "\n"
	s.c = s.spool(ci, "c", trap)
	s.e = s.spool(&master.Master{Bucket: &catalog.Catalog{Bucket: bucket}, By: "thief@evil"}, "e", trap)
	for _, r := range []revision.Revision{s.a, s.b} {
		if err := ops.Jump(t.Context(), r, master.JumpOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	listing, err := bucket.List(t.Context(), store.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range listing.Objects {
		body, _, err := bucket.Get(t.Context(), object.Key, store.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close()); err != nil {
			t.Fatal(err)
		}
		s.objects[object.Key] = string(content)
	}
	s.marker = strings.Split(strings.TrimSuffix(s.objects["tool.rev"], "\n"), "\n")
	marker, err := c.Marker(t.Context(), s.b.Package())
	if err != nil {
		t.Fatal(err)
	}
	s.serial = marker.Entries[0].Serial
	return s
}

// spool puts a tree with a hook of each kind into the bucket.
func (s *scene) spool(m *master.Master, content, hook string) revision.Revision {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "tool")
	files := map[string]string{"content": content}
	if hook != "" {
		for _, name := range []string{"post-sync", "pre-jump", "un-jump", "post-jump", "check", "pre-remove", "failed"} {
			files["ftl/"+name] = hook
		}
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			s.t.Fatal(err)
		}
	}
	r, err := m.Spool(s.t.Context(), dir, master.SpoolOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *scene) public(who string) ssh.PublicKey {
	public, err := ssh.NewPublicKey(s.signers[who].key.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	return public
}

func (s *scene) trust() *catalog.Trust {
	s.t.Helper()
	signers, err := trust.ParseSigners([]byte(s.list))
	if err != nil {
		s.t.Fatal(err)
	}
	identity, err := catalog.ParseIdentity(thisBucket)
	if err != nil {
		s.t.Fatal(err)
	}
	return &catalog.Trust{Signers: signers, Bucket: identity}
}

// signing is how one of them signs.
func (s *scene) signing(who string) *catalog.Signing {
	s.t.Helper()
	block, err := ssh.MarshalPrivateKey(s.signers[who].key, "")
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.t.TempDir(), "key")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		s.t.Fatal(err)
	}
	key, err := trust.OpenKey(trust.KeySource{Path: path})
	if err != nil {
		s.t.Fatal(err)
	}
	return &catalog.Signing{Signer: key, Bucket: s.trust().Bucket}
}

// made returns a signature by a key for any namespace.
func (s *scene) made(who, namespace, message string) []byte {
	blob, err := s.signing(who).Sign(namespace, []byte(message))
	if err != nil {
		s.t.Fatal(err)
	}
	return blob
}

// copy returns the scene before an attack, for which others can be tried, too.
func (s *scene) copy() *scene {
	other := *s
	other.objects = maps.Clone(s.objects)
	return &other
}

// entry is a blessing that looks right.
func (s *scene) entry(r revision.Revision, serial int64, more string) string {
	header := s.header(r)
	var digest catalog.Digest
	if manifest, err := catalog.ParseManifest([]byte(header)); err == nil {
		digest = manifest.Digest
	}
	return fmt.Sprintf("%s serial=%d op=x at=%s by=ops@build kind=jump manifest=%s%s", r, serial, time.Now().UTC().Format(time.RFC3339), digest, more)
}

// bless puts a line on top of the marker that somebody has signed, as for a bucket.
func (s *scene) bless(who, bucket, line string) {
	blob := s.made(who, "ftl-marker@tool", "ftl marker 1\n"+bucket+"\n"+line+"\n")
	s.top(line + " sig=" + base64.StdEncoding.EncodeToString(blob))
}

// top puts a line on top of the marker.
func (s *scene) top(line string) { s.objects["tool.rev"] = line + "\n" + s.objects["tool.rev"] }

// first changes the first line of the marker.
func (s *scene) first(change func(string) string) {
	line, below, _ := strings.Cut(s.objects["tool.rev"], "\n")
	s.objects["tool.rev"] = change(line) + "\n" + below
}

func (s *scene) header(r revision.Revision) string {
	header, _, _ := strings.Cut(s.objects[r.String()+".ftl"], "\n\n")
	return header + "\n\n"
}

// signManifest has somebody sign the manifest of a revision, for a namespace.
func (s *scene) signManifest(who, namespace string, r revision.Revision) {
	key := r.String() + ".ftl"
	below := strings.TrimPrefix(s.objects[key], s.header(r))
	for strings.HasPrefix(below, "-----BEGIN") {
		_, below, _ = strings.Cut(below, "-----END SSH SIGNATURE-----\n")
	}
	s.objects[key] = s.header(r) + string(trust.Armor(s.made(who, namespace, s.header(r)))) + below
}

// block changes the signature of b's manifest.
func (s *scene) block(change func(string) string) {
	key := s.b.String() + ".ftl"
	header := s.header(s.b)
	block, below, _ := strings.Cut(strings.TrimPrefix(s.objects[key], header), "-----END SSH SIGNATURE-----\n")
	s.objects[key] = header + change(block+"-----END SSH SIGNATURE-----\n") + below
}

// replaceWith gives one revision the content of another, under its own name.
func (s *scene) replaceWith(r, content revision.Revision) {
	text := strings.ReplaceAll(s.objects[content.String()+".ftl"], "id: "+content.ID()+"\n", "id: "+r.ID()+"\n")
	s.objects[r.String()+".ftl"] = strings.ReplaceAll(text, "archive: "+content.String(), "archive: "+r.String())
	for _, key := range slices.Collect(maps.Keys(s.objects)) {
		if extension, ok := strings.CutPrefix(key, content.String()); ok && extension != ".ftl" {
			s.objects[r.String()+extension] = s.objects[key]
		}
	}
}

func (s *scene) archive(r revision.Revision) string {
	for key := range s.objects {
		if strings.HasPrefix(key, r.String()+".") && !strings.HasSuffix(key, ".ftl") {
			return key
		}
	}
	s.t.Fatalf("there is no archive of %s", r)
	return ""
}

// attack is a row of the table.
type attack struct {
	name string
	do   func(*scene)
	// seen and fresh are what a host says that has followed b, and one that has followed nothing;
	// "" where the attack is none of its business.
	seen, fresh string
}

func attacks() []attack {
	both := func(name, want string, do func(*scene)) attack { return attack{name, do, want, want} }
	inHours := func(s *scene, hours int) int64 { return time.Now().Add(time.Duration(hours) * time.Hour).Unix() }
	all := []attack{
		both("a blessing without signature", "not signed", func(s *scene) { s.top(s.entry(s.e, s.serial+1, "")) }),
		both("signed, and never blessed", "", func(s *scene) {}),
		both("an unsigned blessing of what is signed", "not signed", func(s *scene) { s.top(s.entry(s.c, s.serial+1, "")) }),
		both("an empty signature", "is not an SSH signature", func(s *scene) { s.top(s.entry(s.e, s.serial+1, " sig=")) }),
		both("the signature of another line", "not one of this content", func(s *scene) {
			s.top(s.entry(s.e, s.serial+1, " sig="+signatureOf(s.marker[0])))
		}),
		both("two signatures", "sig twice", func(s *scene) { s.first(func(line string) string { return line + " sig=" + signatureOf(line) }) }),
		both("text behind the signature", "one signature in base64", func(s *scene) { s.first(func(line string) string { return line + " x" }) }),
		both("text before the signature", "not one of this content", func(s *scene) {
			s.first(func(line string) string { return strings.Replace(line, " sig=", " x=y sig=", 1) })
		}),
		both("CRLF in the marker", "control character", func(s *scene) {
			s.objects["tool.rev"] = strings.ReplaceAll(s.objects["tool.rev"], "\n", "\r\n")
		}),
		both("a Unicode blank", "not one of this content", func(s *scene) { s.first(func(line string) string { return "\u00a0" + line }) }),
		both("a doubled key", "serial twice", func(s *scene) {
			s.first(func(line string) string { return strings.Replace(line, " sig=", " serial=1 sig=", 1) })
		}),
		both("another revision in a signed line", "not one of this content", func(s *scene) {
			s.first(func(line string) string { return strings.Replace(line, s.b.String(), s.e.String(), 1) })
		}),
		both("a blessing by a stranger", "not among the allowed signers", func(s *scene) { s.bless("thief", thisBucket, s.entry(s.e, s.serial+1, "")) }),
		both("a blessing by a key for revisions", "may not sign this", func(s *scene) { s.bless("ci", thisBucket, s.entry(s.c, s.serial+1, "")) }),
		both("a blessing by a key of another package", "may not sign this", func(s *scene) { s.bless("other", thisBucket, s.entry(s.c, s.serial+1, "")) }),
		both("a blessing for another bucket", "signed for another bucket", func(s *scene) { s.bless("ops", "releases/staging", s.entry(s.c, s.serial+1, "")) }),
		both("a blessing of another package", "is not a revision of tool", func(s *scene) {
			s.bless("ops", thisBucket, strings.Replace(s.entry(s.c, s.serial+1, ""), "tool.", "other.", 1))
		}),
		both("a blessing that binds nothing", "does not say of which manifest", func(s *scene) {
			line, _, _ := strings.Cut(s.entry(s.c, s.serial+1, ""), " manifest=")
			s.bless("ops", thisBucket, line)
		}),
		both("the signature of a manifest as a blessing", "not one of this content", func(s *scene) {
			blob := s.made("ci", "ftl-revision@tool", s.header(s.c))
			s.top(s.entry(s.c, s.serial+1, " sig="+base64.StdEncoding.EncodeToString(blob)))
		}),
		both("a blessing signed as a manifest", "was made for something else", func(s *scene) {
			line := s.entry(s.c, s.serial+1, "")
			blob := s.made("ops", "ftl-revision@tool", "ftl marker 1\n"+thisBucket+"\n"+line+"\n")
			s.top(line + " sig=" + base64.StdEncoding.EncodeToString(blob))
		}),
		both("a blessing signed for nothing", "was made for something else", func(s *scene) {
			line := s.entry(s.c, s.serial+1, "")
			blob := s.made("ops", "file", "ftl marker 1\n"+thisBucket+"\n"+line+"\n")
			s.top(line + " sig=" + base64.StdEncoding.EncodeToString(blob))
		}),
		both("a mebibyte of signature", "bytes long", func(s *scene) { s.top(s.entry(s.e, s.serial+1, " sig="+strings.Repeat("A", 1<<20-4096))) }),
		both("a marker above its limit", "longer than", func(s *scene) { s.objects["tool.rev"] += strings.Repeat("#", 1<<20) }),
		both("a serial that overflows", "serial", func(s *scene) {
			s.bless("ops", thisBucket, strings.Replace(s.entry(s.c, s.serial+1, ""), fmt.Sprintf("serial=%d", s.serial+1), "serial=9223372036854775808", 1))
		}),
		both("a serial a day ahead", "more than a day ahead", func(s *scene) { s.bless("ops", thisBucket, s.entry(s.c, inHours(s, 25), "")) }),
		both("an expired blessing", "has expired", func(s *scene) { s.bless("ops", thisBucket, s.entry(s.c, s.serial+1, " !expires=2020-01-01T00:00:00Z")) }),
		both("a key that is not valid yet", "not yet valid", func(s *scene) { s.bless("early", thisBucket, s.entry(s.c, s.serial+1, "")) }),
		both("a key that is valid no more", "no longer valid", func(s *scene) { s.bless("late", thisBucket, s.entry(s.c, s.serial+1, "")) }),
		both("a signature by SHA-1", "can't make a signature of the type", func(s *scene) {
			line := s.entry(s.c, s.serial+1, "")
			s.top(line + " sig=" + base64.StdEncoding.EncodeToString(s.weak("ftl-marker@tool", "ftl marker 1\n"+thisBucket+"\n"+line+"\n")))
		}),
		{"an older marker", func(s *scene) { s.objects["tool.rev"] = s.marker[1] + "\n" }, "older blessing back", ""},
		{"lines in another order", func(s *scene) { s.objects["tool.rev"] = s.marker[1] + "\n" + s.marker[0] + "\n" }, "older blessing back", ""},
		{"another blessing under the same serial", func(s *scene) { s.bless("ops", thisBucket, s.entry(s.a, s.serial, "")) }, "two blessings under one serial", ""},
		{"no marker", func(s *scene) { delete(s.objects, "tool.rev") }, "the marker of tool is gone", ""},
		both("forged lines below the first", "", func(s *scene) {
			s.objects["tool.rev"] = s.marker[0] + "\n" + s.entry(s.e, s.serial-1, "") + "\n" + s.marker[1] + "\n"
		}),
		both("the first line twice", "", func(s *scene) { s.top(s.marker[0]) }),
		both("another epoch", "", func(s *scene) { s.objects["_ftl/epoch"] = "thief\n" }),

		// Of b's manifest and archive. A host that has b does not look at them.
		{"a manifest without signature", func(s *scene) { s.block(func(string) string { return "" }) }, "", "it is not signed"},
		{"a manifest signed by a stranger", func(s *scene) { s.signManifest("thief", "ftl-revision@tool", s.b) }, "", "not among the allowed signers"},
		{"a manifest signed by a key for blessings", func(s *scene) { s.signManifest("ops", "ftl-revision@tool", s.b) }, "", "may not sign this"},
		{"a manifest signed as a blessing", func(s *scene) { s.signManifest("ci", "ftl-marker@tool", s.b) }, "", "was made for something else"},
		{"a manifest signed for another package", func(s *scene) { s.signManifest("ci", "ftl-revision@other", s.b) }, "", "was made for something else"},
		{"the signature twice", func(s *scene) { s.block(func(block string) string { return block + block }) }, "", "two signatures by the key"},
		{"text above the signature", func(s *scene) { s.block(func(block string) string { return "x\n" + block }) }, "", "not signed"},
		{"text below the signature", func(s *scene) { s.block(func(block string) string { return block + "x\n" }) }, "", "index was changed"},
		{"CRLF in the signature", func(s *scene) { s.block(func(block string) string { return strings.ReplaceAll(block, "\n", "\r\n") }) }, "", "not a signature"},
		{"a mebibyte of armour", func(s *scene) {
			s.block(func(string) string {
				return "-----BEGIN SSH SIGNATURE-----\n" + strings.Repeat("A", 1<<20) + "\n-----END SSH SIGNATURE-----\n"
			})
		}, "", "not a signature|longer than|is not trusted"},
		{"a manifest signed by SHA-1", func(s *scene) {
			s.block(func(string) string { return string(trust.Armor(s.weak("ftl-revision@tool", s.header(s.b)))) })
		}, "", "can't make a signature of the type"},
		{"the manifest of another revision", func(s *scene) { s.objects[s.b.String()+".ftl"] = s.objects[s.c.String()+".ftl"] }, "", "it is the manifest of"},
		{"the signature of another revision", func(s *scene) {
			s.block(func(string) string { return string(trust.Armor(s.made("ci", "ftl-revision@tool", s.header(s.c)))) })
		}, "", "not one of this content"},
		{"a word more in the manifest", func(s *scene) {
			s.objects[s.b.String()+".ftl"] = strings.Replace(s.objects[s.b.String()+".ftl"], "\n\n", "\nnote: x\n\n", 1)
		}, "", "not one of this content"},
		{"the archive swapped", func(s *scene) { s.objects[s.archive(s.b)] = s.objects[s.archive(s.e)] }, "", "not what was spooled"},
		{"the archive swapped, of the same size", func(s *scene) {
			archive := []byte(s.objects[s.archive(s.b)])
			archive[len(archive)/3] ^= 1
			s.objects[s.archive(s.b)] = string(archive)
		}, "", "invalid archive"},
		{"a byte less of the archive", func(s *scene) { s.objects[s.archive(s.b)] = s.objects[s.archive(s.b)][1:] }, "", "not what was spooled"},
		{"a byte more of the archive", func(s *scene) { s.objects[s.archive(s.b)] += "x" }, "", "not what was spooled"},
		{"the index swapped", func(s *scene) {
			key := s.b.String() + ".ftl"
			index := strings.LastIndex(s.objects[key], "-----END SSH SIGNATURE-----\n") + 28
			other := s.objects[s.c.String()+".ftl"]
			s.objects[key] = s.objects[key][:index] + other[strings.LastIndex(other, "-----END SSH SIGNATURE-----\n")+28:]
		}, "", "index was changed"},

		// With the key of the build box.
		both("a stolen key signs a new revision", "", func(s *scene) { s.signManifest("ci", "ftl-revision@tool", s.e) }),
		{"a stolen key signs a second content under a blessed name", func(s *scene) {
			s.replaceWith(s.b, s.e)
			s.signManifest("ci", "ftl-revision@tool", s.b)
		}, "", "is not the manifest that was blessed"},
		{"a stolen key signs a second content under the previous name", func(s *scene) {
			s.replaceWith(s.a, s.e)
			s.signManifest("ci", "ftl-revision@tool", s.a)
		}, "", "is not the manifest that was blessed"},
	}
	return all
}

func signatureOf(line string) string { return line[strings.Index(line, " sig=")+5:] }

// weak is a signature by an RSA key with SHA-1, as SSH began with.
func (s *scene) weak(namespace, message string) []byte {
	digest := crypto.SHA512.New()
	io.WriteString(digest, message)
	data := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Digest string }{namespace, "", "sha512", string(digest.Sum(nil))})...)
	key, err := ssh.NewSignerFromSigner(s.signers["rsa"].key)
	if err != nil {
		s.t.Fatal(err)
	}
	made, err := key.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSA)
	if err != nil {
		s.t.Fatal(err)
	}
	return append([]byte("SSHSIG"), ssh.Marshal(struct {
		Version                              uint32
		Key, Namespace, Reserved, Hash, Made string
	}{1, string(key.PublicKey().Marshal()), namespace, "", "sha512", string(ssh.Marshal(made))})...)
}

// upload makes a bucket of the objects as they are.
func (s *scene) upload(t *testing.T, bucket store.Bucket) {
	t.Helper()
	for key, content := range s.objects {
		if strings.HasPrefix(key, "_ftl/conditions") {
			continue
		}
		if _, err := bucket.Put(t.Context(), key, strings.NewReader(content), store.PutOptions{SHA256: sha256.Sum256([]byte(content))}); err != nil {
			t.Fatal(err)
		}
	}
}

// newHost returns a host that requires signatures and syncs with a bucket.
func (s *scene) newHost(t *testing.T, bucket store.Bucket) *host.Host {
	t.Helper()
	h := &host.Host{
		Root: t.TempDir(), Node: "web1", Version: "1", Command: "ftl sync", Keep: 5, Warn: t.Logf, Membership: host.Membership{Heartbeat: -1},
		Trust: host.Trust{List: s.trust()},
		Open:  func(context.Context) (*catalog.Catalog, error) { return &catalog.Catalog{Bucket: bucket}, nil },
	}
	if err := os.Mkdir(filepath.Join(h.Root, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	return h
}

// harm says what a host has that a thief has put there, "" where it has nothing.
func (s *scene) harm(h *host.Host, allowed ...revision.Revision) string {
	if trace, err := os.ReadFile(s.trace); err == nil {
		return fmt.Sprintf("these hooks have run: %s", trace)
	}
	good := map[string]string{s.a.ID(): "a", s.b.ID(): "b"}
	trees, err := filepath.Glob(filepath.Join(h.Root, "tool", "revs", "[0-9]*"))
	if err != nil {
		return err.Error()
	}
	for _, tree := range trees {
		content, err := os.ReadFile(filepath.Join(tree, "content"))
		if want, known := good[filepath.Base(tree)]; !known || err != nil || string(content) != want {
			return fmt.Sprintf("it has the tree %s with %q", tree, content)
		}
	}
	current, err := os.Readlink(filepath.Join(h.Root, "tool", "current"))
	if errors.Is(err, fs.ErrNotExist) && slices.Contains(allowed, revision.Revision{}) {
		return ""
	}
	for _, r := range allowed {
		if filepath.Base(current) == r.ID() {
			return ""
		}
	}
	return fmt.Sprintf("it runs %q", current)
}

// saysOneOf reports whether an error says one of some things, which "|" divides; "" is no error.
func saysOneOf(err error, want string) bool {
	if want == "" || err == nil {
		return want == "" && err == nil
	}
	return slices.ContainsFunc(strings.Split(want, "|"), func(one string) bool { return strings.Contains(err.Error(), one) })
}

// Each attack alone, on both kinds of bucket: a host that has followed b stays there, a new one
// runs what was blessed or nothing, and both say what is wrong. No byte of the thief runs.
func TestAttacks(t *testing.T) {
	s := newScene(t)
	for _, kind := range []string{"directory", "s3"} {
		t.Run(kind, func(t *testing.T) {
			open := func(t testing.TB) string { return "file://" + t.TempDir() }
			if kind == "s3" {
				server := s3test.Start(t)
				server.Setenv(t)
				open = server.Bucket
			}
			before := s.openBucket(t, open(t))
			s.upload(t, before)
			followed := s.newHost(t, before)
			if err := followed.Sync(t.Context(), nil, host.SyncOptions{Cron: true}); err != nil {
				t.Fatal(err)
			}
			for _, row := range attacks() {
				t.Run(row.name, func(t *testing.T) {
					t.Parallel()
					attacked, bucket := s.copy(), s.openBucket(t, open(t))
					attacked.t = t
					row.do(attacked)
					attacked.upload(t, bucket)
					follower := s.newHost(t, bucket)
					if out, err := exec.Command("cp", "-a", followed.Root+"/.", follower.Root).CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
					err := follower.Sync(t.Context(), nil, host.SyncOptions{})
					if harm := s.harm(follower, s.b); harm != "" || !saysOneOf(err, row.seen) {
						t.Errorf("a host that has followed b: %s; it says %v, want %q", harm, err, row.seen)
					}
					fresh := s.newHost(t, bucket)
					err = fresh.Sync(t.Context(), nil, host.SyncOptions{})
					if harm := s.harm(fresh, s.b, s.a, revision.Revision{}); harm != "" || !saysOneOf(err, row.fresh) {
						t.Errorf("a new host: %s; it says %v, want %q", harm, err, row.fresh)
					}
				})
			}
		})
	}
}

func (s *scene) openBucket(t *testing.T, location string) store.Bucket {
	t.Helper()
	bucket, err := store.Open(t.Context(), location, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// memory is a bucket that can only be read.
type memory struct {
	store.Bucket
	objects map[string]string
}

func (m memory) Get(_ context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	content, there := m.objects[key]
	if !there {
		return nil, store.Object{}, fmt.Errorf("get %s: %w", key, fs.ErrNotExist)
	}
	object := store.Object{Key: key, Size: int64(len(content)), ETag: "x", Date: time.Now(), Modified: time.Now()}
	content = content[min(opts.Offset, int64(len(content))):]
	if opts.Length > 0 {
		content = content[:min(opts.Length, int64(len(content)))]
	}
	return io.NopCloser(bytes.NewReader([]byte(content))), object, nil
}

func (m memory) List(_ context.Context, opts store.ListOptions) (store.Listing, error) {
	listing := store.Listing{Date: time.Now()}
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(key, opts.Prefix) {
			listing.Objects = append(listing.Objects, store.Object{Key: key, Size: int64(len(m.objects[key])), ETag: "x", Modified: time.Now()})
		}
	}
	return listing, nil
}

// Every two attacks one after the other: nothing of the thief is fetched, let alone run. What a
// host would do is what it shows in a dry run, so that thousands of pairs can be tried.
func TestPairsOfAttacks(t *testing.T) {
	s := newScene(t)
	bucket := s.openBucket(t, "file://"+t.TempDir())
	s.upload(t, bucket)
	follower := s.newHost(t, bucket)
	if err := follower.Sync(t.Context(), nil, host.SyncOptions{Cron: true}); err != nil {
		t.Fatal(err)
	}
	fresh := s.newHost(t, bucket)
	rows := attacks()
	tried := 0
	for i, first := range rows {
		for j, second := range rows {
			if i == j {
				continue
			}
			attacked := s.copy()
			if !combine(attacked, first, second) {
				continue
			}
			tried++
			for name, h := range map[string]*host.Host{"a host that has followed b": follower, "a new host": fresh} {
				for _, event := range dryRun(t, *h, memory{objects: attacked.objects}) {
					harmless := event.Revision == s.b || event.Revision == s.a && (h == fresh || event.Step != steps.Flip)
					if !harmless {
						t.Errorf("%s, then %s: %s would %s %s", first.name, second.name, name, event.Step, event.Revision)
					}
				}
			}
		}
	}
	t.Logf("%d pairs", tried)
	if tried < 2000 {
		t.Errorf("only %d pairs could be combined", tried)
	}
}

// combine does two attacks, and reports false where the second has nothing left to change.
func combine(s *scene, first, second attack) bool {
	first.do(s)
	if s.objects["tool.rev"] == "" {
		return false
	}
	before := maps.Clone(s.objects)
	second.do(s)
	return !maps.Equal(before, s.objects)
}

// dryRun returns the steps that a sync would take.
func dryRun(t *testing.T, h host.Host, bucket store.Bucket) (planned []steps.Event) {
	h.DryRun, h.Warn = true, nil
	h.Open = func(context.Context) (*catalog.Catalog, error) { return &catalog.Catalog{Bucket: bucket}, nil }
	h.Report = func(event steps.Event) {
		if event.State == steps.Planned {
			planned = append(planned, event)
		}
	}
	h.Sync(t.Context(), nil, host.SyncOptions{}) // whose error says what is wrong
	return planned
}

// requests counts what a sync asks a bucket.
type requests struct {
	store.Bucket
	count int
}

func (r *requests) Get(ctx context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	r.count++
	return r.Bucket.Get(ctx, key, opts)
}

func (r *requests) List(ctx context.Context, opts store.ListOptions) (store.Listing, error) {
	r.count++
	return r.Bucket.List(ctx, opts)
}

// A sync with nothing to do is one request with signatures, too, until somebody changes the list:
// then all is read again, and a key that was removed counts no more.
func TestSignedIdleSync(t *testing.T) {
	s := newScene(t)
	bucket := &requests{Bucket: s.openBucket(t, "file://"+t.TempDir())}
	s.upload(t, bucket)
	h := s.newHost(t, bucket)
	h.Trust.Sum = "one"
	sync := func() (int, error) {
		bucket.count = 0
		err := h.Sync(t.Context(), nil, host.SyncOptions{Cron: true})
		return bucket.count, err
	}
	for range 3 { // the first does something, and the next finds that there is nothing left
		if _, err := sync(); err != nil {
			t.Fatal(err)
		}
	}
	if count, err := sync(); count != 1 || err != nil {
		t.Errorf("%d requests, %v; want 1", count, err)
	}
	s.list = strings.ReplaceAll(s.list, "ops namespaces", "# namespaces")
	h.Trust.List, h.Trust.Sum = s.trust(), "two"
	if count, err := sync(); count < 2 || err == nil || !strings.Contains(err.Error(), "not among the allowed signers") {
		t.Errorf("with another list %d requests, %v", count, err)
	}
}
