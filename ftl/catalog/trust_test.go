package catalog

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/ftl/internal/spill"
	"github.com/rhettg/ftl/ftl/trust"
)

// someone is a person, or a machine, with a key.
type someone struct {
	name string
	key  *trust.Key
	line string // of allowed signers, without principals and options
}

func newSomeone(t testing.TB, name string, private crypto.Signer) someone {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := trust.OpenKey(trust.KeySource{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return someone{name, key, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))}
}

func newPerson(t testing.TB, name string) someone {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newSomeone(t, name, private)
}

// may returns the line that allows the key some namespaces.
func (s someone) may(namespaces string) string {
	return fmt.Sprintf("%s namespaces=%q %s\n", s.name, namespaces, s.line)
}

// as is how the key signs for a bucket.
func (s someone) as(bucket string) *Signing {
	identity, err := ParseIdentity(bucket)
	if err != nil {
		panic(err)
	}
	return &Signing{s.key, identity}
}

func trusting(t testing.TB, lines ...string) *Trust {
	t.Helper()
	signers, err := trust.ParseSigners([]byte(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	return &Trust{Signers: signers, Bucket: newPersonIdentity}
}

var newPersonIdentity = Identity{"releases/prod"}

// someBlessing is an entry that can be trusted once it is signed.
func someBlessing(t testing.TB, name string, serial int64) Entry {
	t.Helper()
	at := time.Date(2026, 11, 21, 12, 34, 56, 0, time.UTC)
	return Entry{Revision: parse(t, name), Serial: serial, Op: "k3f9", At: at, By: "ops@build1", Kind: KindJump, Manifest: Digest{1}}
}

// signedMarker returns a marker with these entries, the oldest first, signed by one key.
func signedMarker(t testing.TB, as *Signing, entries ...Entry) string {
	t.Helper()
	marker := Marker{Package: entries[0].Revision.Package()}
	text := ""
	for _, entry := range entries {
		added, err := marker.AddSigned(&entry, as)
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(added), "\n")
		text = line + "\n" + text
	}
	return text
}

// Whatever is wrong with the first line, nothing of the marker counts for a host. Each change makes
// it wrong.
func TestFirstLineDecides(t *testing.T) {
	ops, ci, thief := newPerson(t, "ops"), newPerson(t, "ci"), newPerson(t, "thief")
	signers := []string{ops.may("ftl-marker@tool"), ci.may("ftl-revision@*")}
	older, newest := someBlessing(t, "tool.1", 100), someBlessing(t, "tool.2", 200)
	good := signedMarker(t, ops.as("releases/prod"), older, newest)
	sign := func(who someone, bucket string, entry Entry) string {
		return signedMarker(t, who.as(bucket), older, entry)
	}
	other := someBlessing(t, "other.2", 200)
	unbound := newest
	unbound.Manifest = Digest{}
	halfBound := newest
	halfBound.Base = older.Revision
	replace := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	line, below, _ := strings.Cut(good, "\n")
	forRevision, err := ops.key.Sign("ftl-revision@tool", newPersonIdentity.blessing(newest.String()))
	if err != nil {
		t.Fatal(err)
	}
	asManifest := newest.String() + signatureWord + strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(
		string(trust.Armor(forRevision)), signatureBegin), signatureEnd), "\n", "") + "\n" + below
	for name, test := range map[string]struct{ text, want string }{
		"nothing":                    {"", "begins with a blank"},
		"a comment only":             {"# hello\n", "it is empty; a marker"},
		"unsigned":                   {newest.String() + "\n" + below, "not signed"},
		"unsigned above a signature": {newest.String() + "\n" + good, "not signed"},
		"an empty signature":         {newest.String() + " sig=\n", "not an SSH signature"},
		"another revision":           {replace("tool.2 ", "tool.3 "), "not one of this content"},
		"another word":               {replace("kind=jump", "kind=jumq"), "not one of this content"},
		"one more word":              {replace(" sig=", " x=y sig="), "not one of this content"},
		"one more blank":             {replace(" kind", "  kind"), "not one of this content"},
		"words behind the signature": {line + " note=x\n" + below, "one signature in base64"},
		"a blank behind it":          {line + " \n" + below, "one signature in base64"},
		"two signatures":             {line + line[strings.Index(line, " sig="):] + "\n" + below, "sig twice"},
		"a quoted signature":         {strings.Replace(line, " sig=", ` sig="`, 1) + "\"\n" + below, "one signature in base64"},
		"a CR":                       {line + "\r\n" + below, "control character"},
		"a NUL":                      {line + "\x00\n" + below, "control character"},
		"a tab":                      {replace(" kind", "\tkind"), "control character"},
		"a leading blank":            {" " + good, "begins with a blank"},
		"a leading no-break blank":   {"\u00a0" + good, "not one of this content"},
		"a trailing no-break blank":  {line + "\u00a0\n" + below, "one signature in base64"},
		"an empty line":              {"\n" + good, "begins with a blank"},
		"a doubled key":              {replace(" kind=jump", " kind=jump kind=jump"), "kind twice"},
		"too long":                   {line[:strings.Index(line, " sig=")] + " note=" + strings.Repeat("x", maxSignedLine) + "\n", "bytes long"},
		"a mebibyte of signature":    {newest.String() + " sig=" + strings.Repeat("A", 1<<20-1000) + "\n", "bytes long"},
		"base64 that is loose":       {loosened(line) + "\n" + below, "one signature in base64"},
		"by a stranger":              {sign(thief, "releases/prod", newest), "not among the allowed signers"},
		"by a key for revisions":     {sign(ci, "releases/prod", newest), "may not sign this"},
		"as a revision":              {asManifest, "was made for something else"},
		"of another bucket":          {sign(ops, "releases/staging", newest), "signed for another bucket than releases/prod"},
		"of another package":         {signedMarker(t, ops.as("releases/prod"), other), "was made for something else"},
		"without manifest=":          {sign(ops, "releases/prod", unbound), "does not say of which manifest"},
		"without base-manifest=":     {sign(ops, "releases/prod", halfBound), "does not say of which manifest"},
	} {
		bucket := openBucket(t)
		put(t, bucket, "tool.rev", test.text)
		c := Catalog{Bucket: bucket, Trust: trusting(t, signers...)}
		marker, err := c.Marker(t.Context(), newest.Revision.Package())
		_, untrusted := errors.AsType[*TrustError](err)
		if err == nil || !strings.Contains(err.Error(), test.want) || untrusted == (name == "a comment only") || !isKind(err, ftl.Refused) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, test.want)
		}
		if len(marker.Entries) > 0 {
			t.Errorf("%s: there are entries: %v", name, marker.Entries)
		}
	}
	bucket := openBucket(t)
	put(t, bucket, "tool.rev", good)
	marker, err := (&Catalog{Bucket: bucket, Trust: trusting(t, signers...)}).Marker(t.Context(), newest.Revision.Package())
	if err != nil || len(marker.Entries) != 2 {
		t.Fatalf("the marker as it was signed: %v, %v", marker.Entries, err)
	}
	if signer := marker.Entries[0].Signer; signer.Principals != "ops" || signer.Fingerprint != ops.key.Fingerprint() {
		t.Errorf("the signer is %v, want ops", signer)
	}
}

// loosened returns a line whose signature has bits that base64 does not use.
func loosened(line string) string {
	bare := strings.TrimRight(line, "=")
	if bare == line { // there are none, so make one
		return line + "A"
	}
	last := bare[len(bare)-1]
	return bare[:len(bare)-1] + string(last+1) + line[len(bare):]
}

// Below the first line, a host passes over what does not count, and whoever writes the marker is
// told of it.
func TestLinesBelowTheFirst(t *testing.T) {
	ops, thief := newPerson(t, "ops"), newPerson(t, "thief")
	newest := someBlessing(t, "tool.4", 400)
	lines := func(entries ...Entry) string { return signedMarker(t, ops.as("releases/prod"), entries...) }
	one, two, three, four := someBlessing(t, "tool.1", 100), someBlessing(t, "tool.2", 200), someBlessing(t, "tool.3", 300), newest
	forged := signedMarker(t, thief.as("releases/prod"), someBlessing(t, "tool.9", 350))
	unsigned := someBlessing(t, "tool.9", 350).String() + "\n"
	four.Base, four.BaseManifest = one.Revision, one.Manifest
	for name, test := range map[string]struct {
		text     string
		host     []string // the revisions that a host reads
		operator []string
		dropped  int
	}{
		"whole":            {lines(one, two, three, newest), []string{"tool.4", "tool.3"}, []string{"tool.4", "tool.3", "tool.2", "tool.1"}, 0},
		"to the base":      {lines(one, two, three, four), []string{"tool.4", "tool.3", "tool.2", "tool.1"}, []string{"tool.4", "tool.3", "tool.2", "tool.1"}, 0},
		"a forged line":    {lines(newest) + forged + lines(one, three), []string{"tool.4", "tool.3"}, []string{"tool.4", "tool.3", "tool.1"}, 1},
		"an unsigned line": {lines(newest) + unsigned + lines(three), []string{"tool.4", "tool.3"}, []string{"tool.4", "tool.3"}, 1},
		"reordered":        {lines(newest) + lines(one) + lines(three), []string{"tool.4", "tool.1"}, []string{"tool.4", "tool.1"}, 1},
		"doubled":          {lines(newest) + lines(newest) + lines(three), []string{"tool.4", "tool.3"}, []string{"tool.4", "tool.3"}, 1},
		"a newer one":      {lines(two) + lines(newest) + lines(one), []string{"tool.2", "tool.1"}, []string{"tool.2", "tool.1"}, 1},
		"comments":         {"# a\n" + lines(newest) + "# b\n" + lines(three), []string{"tool.4", "tool.3"}, []string{"tool.4", "tool.3"}, 0},
		"a forged first":   {forged + lines(three), nil, []string{"tool.3"}, 1},
	} {
		bucket := openBucket(t)
		put(t, bucket, "tool.rev", test.text)
		read := func(trust *Trust) (names []string) {
			marker, _ := (&Catalog{Bucket: bucket, Trust: trust}).Marker(t.Context(), newest.Revision.Package())
			for _, entry := range marker.Entries {
				names = append(names, entry.Revision.String())
			}
			return names
		}
		signers := trusting(t, ops.may("ftl-marker@tool"))
		if got := read(signers); fmt.Sprint(got) != fmt.Sprint(test.host) {
			t.Errorf("%s: a host reads %v, want %v", name, got, test.host)
		}
		dropped := 0
		signers.Dropped = func(error) { dropped++ }
		if got := read(signers); fmt.Sprint(got) != fmt.Sprint(test.operator) || dropped != test.dropped {
			t.Errorf("%s: an operator reads %v, and %d were dropped; want %v, %d", name, got, dropped, test.operator, test.dropped)
		}
	}
}

// A host reads as far down as it is asked for.
func TestMarkerNaming(t *testing.T) {
	ops := newPerson(t, "ops")
	bucket := openBucket(t)
	var entries []Entry
	for i := range 5 {
		entries = append(entries, someBlessing(t, fmt.Sprintf("tool.%d", i), int64(i+1)))
	}
	put(t, bucket, "tool.rev", signedMarker(t, ops.as("releases/prod"), entries...))
	marker, err := (&Catalog{Bucket: bucket, Trust: trusting(t, ops.may("ftl-*"))}).Marker(t.Context(), entries[0].Revision.Package(), entries[1].Revision)
	if err != nil || len(marker.Entries) != 4 {
		t.Errorf("read %d entries: %v; want 4, down to the one that was named", len(marker.Entries), err)
	}
}

// What an operator reads and writes again stays valid, byte for byte.
func TestSignedLinesAreKept(t *testing.T) {
	ops := newPerson(t, "ops")
	pkg := parsePackage(t, "tool")
	before := signedMarker(t, ops.as("releases/prod"), someBlessing(t, "tool.1", 100))
	for _, signers := range []*Trust{nil, trusting(t, ops.may("ftl-*"))} {
		bucket := openBucket(t)
		put(t, bucket, "tool.rev", before)
		marker, err := (&Catalog{Bucket: bucket, Trust: signers}).Marker(t.Context(), pkg)
		if err != nil {
			t.Fatal(err)
		}
		entry := someBlessing(t, "tool.2", 200)
		after, err := marker.AddSigned(&entry, ops.as("releases/prod"))
		if err != nil || !bytes.HasSuffix(after, []byte("\n"+before)) {
			t.Errorf("%q is followed by %q, %v", before, after, err)
		}
	}
}

// What no host would take is not signed.
func TestRefusesToSign(t *testing.T) {
	ops := newPerson(t, "ops")
	long := someBlessing(t, "tool.1", 1)
	long.Note = strings.Repeat("\x00", MaxNote)
	ambiguous := someBlessing(t, "tool.1", 1)
	ambiguous.Note = "see sig=abc"
	for _, entry := range []Entry{long, ambiguous} {
		text, err := Marker{Package: entry.Revision.Package()}.AddSigned(&entry, ops.as("releases/prod"))
		if err == nil {
			t.Errorf("%.40q was signed: %.80q", entry.Note, text)
		}
	}
}

func TestMarkerKeepsExpiryAndRenewal(t *testing.T) {
	entry := someBlessing(t, "tool.1", 300)
	entry.Expires, entry.Renews, entry.Kind = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), 200, KindRenew
	read, err := parseEntry(entry.String())
	if err != nil || !read.Expires.Equal(entry.Expires) || read.Renews != 200 || read.Understood() != nil {
		t.Errorf("%s is read as %+v, %v", entry, read, err)
	}
	for _, word := range []string{"!expires=soon", "!renews=0", "!renews=x", "!renews=99999999999999999999"} {
		if _, err := parseEntry("tool.1 " + word); err == nil {
			t.Errorf("%s was accepted", word)
		}
	}
}

// signedManifestOf returns a manifest with its index, signed by some.
func signedManifestOf(t testing.TB, manifest Manifest, index []byte, by ...someone) string {
	t.Helper()
	text := manifest.Encode(index)
	for _, who := range by {
		var err error
		if text, err = who.as("releases/prod").Manifest(manifest.Revision.Package(), text); err != nil {
			t.Fatal(err)
		}
	}
	return string(text)
}

// A manifest counts only with a signature directly below its header. Each change makes it wrong.
func TestManifestNeedsSignature(t *testing.T) {
	ci, ops, thief := newPerson(t, "ci"), newPerson(t, "ops"), newPerson(t, "thief")
	signers := []string{ci.may("ftl-revision@tool"), ops.may("ftl-marker@tool")}
	manifest := someManifest(t)
	manifest.Revision, manifest.Archive = parse(t, "tool.2026112145296Wq"), "tool.2026112145296Wq.tgz"
	bare := string(manifest.Encode(nil))
	good := signedManifestOf(t, manifest, nil, ci)
	block := strings.TrimPrefix(good, bare)
	second := signedManifestOf(t, manifest, nil, thief)
	foreign := strings.TrimPrefix(second, bare)
	elsewhere := manifest
	elsewhere.Revision = parse(t, "tool.2026112145297Wq")
	elsewhere.Archive = "tool.2026112145297Wq.tgz"
	namespaced := func(namespace string, message []byte) string {
		blob, err := ci.key.Sign(namespace, message)
		if err != nil {
			t.Fatal(err)
		}
		return string(trust.Armor(blob))
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	oldest := "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
	for name, test := range map[string]struct{ text, want string }{
		"unsigned":                      {bare, "not signed"},
		"text above the signature":      {bare + "hello\n" + block, "not a signature"},
		"text below the signature":      {good + "hello\n", "not a signature"},
		"text between two":              {good + "hello\n" + foreign, "not a signature"},
		"CRLF":                          {bare + strings.ReplaceAll(block, "\n", "\r\n"), "not a signature"},
		"another kind of block":         {bare + "-----BEGIN X-----\nAAAA\n-----END X-----\n" + block, "not a signature"},
		"a block without end":           {bare + block[:len(block)-5], "not a signature"},
		"the same key twice":            {bare + block + block, "two signatures by the key"},
		"five signatures":               {signedManifestOf(t, manifest, nil, newPerson(t, "1"), newPerson(t, "2"), newPerson(t, "3"), newPerson(t, "4")) + block, "5 signatures"},
		"an empty signature":            {bare + oldest, "read the SSH signature"},
		"a mebibyte of signature":       {bare + "-----BEGIN SSH SIGNATURE-----\n" + strings.Repeat("A", 1<<20), "not a signature"},
		"by a stranger":                 {second, "not among the allowed signers"},
		"by a key for blessings":        {signedManifestOf(t, manifest, nil, ops), "may not sign this"},
		"as a blessing":                 {bare + namespaced("ftl-marker@tool", []byte(bare)), "made for something else"},
		"of another package":            {bare + namespaced("ftl-revision@other", []byte(bare)), "made for something else"},
		"without a package":             {bare + namespaced("ftl-revision@", []byte(bare)), "made for something else"},
		"of a header without its end":   {bare + namespaced("ftl-revision@tool", []byte(strings.TrimSuffix(bare, "\n"))), "not one of this content"},
		"another size":                  {strings.Replace(good, "size: ", "size: 1", 1), "not one of this content"},
		"another archive":               {strings.Replace(good, ".tgz", ".tar", 1), "not one of this content"},
		"a word more":                   {strings.Replace(good, "\n\n", "\nx: y\n\n", 1), "not one of this content"},
		"the manifest of another":       {signedManifestOf(t, elsewhere, nil, ci), "it is the manifest of"},
		"the signature of another":      {bare + strings.TrimPrefix(signedManifestOf(t, elsewhere, nil, ci), string(elsewhere.Encode(nil))), "not one of this content"},
		"a key too short":               {signedManifestOf2048(t, bare, weak), "shorter than 3072 bits"},
		"above the empty line":          {strings.Replace(bare, "\n\n", "\n"+block+"\n", 1), ""},
		"a header with two empty lines": {strings.Replace(good, "\n\n", "\n\n\n", 1), ""},
	} {
		bucket := openBucket(t)
		put(t, bucket, ManifestKey(manifest.Revision), test.text)
		c := Catalog{Bucket: bucket, Trust: trusting(t, signers...)}
		if _, err := c.Manifest(t.Context(), manifest.Revision); err == nil || !strings.Contains(err.Error(), test.want) || !isKind(err, ftl.Refused) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, test.want)
		}
		if _, _, err := c.Seekable(t.Context(), manifest.Revision, spill.Temporary); err == nil {
			t.Errorf("%s: Seekable takes it", name)
		}
	}
	for name, text := range map[string]string{
		"one signature":                 good,
		"another one above":             signedManifestOf(t, manifest, nil, thief, ci),
		"another one below":             signedManifestOf(t, manifest, nil, ci, thief),
		"four, and signed anew by one":  signedManifestOf(t, manifest, nil, ci, thief, newPerson(t, "3"), newPerson(t, "4"), ci),
		"of which one is by a stranger": bare + foreign + block,
	} {
		bucket := openBucket(t)
		put(t, bucket, ManifestKey(manifest.Revision), text)
		got, err := (&Catalog{Bucket: bucket, Trust: trusting(t, signers...)}).Manifest(t.Context(), manifest.Revision)
		if err != nil || got.Signer.Principals != "ci" {
			t.Errorf("%s: signed by %v, %v; want ci", name, got.Signer, err)
		}
	}
}

// signedManifestOf2048 returns a manifest that a short RSA key has signed, which our own code would
// not do.
func signedManifestOf2048(t testing.TB, bare string, private *rsa.PrivateKey) string {
	t.Helper()
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	blob := append([]byte("SSHSIG"), ssh.Marshal(struct {
		Version                              uint32
		Key, Namespace, Reserved, Hash, Made string
	}{1, string(public.Marshal()), "ftl-revision@tool", "", "sha512", string(ssh.Marshal(&ssh.Signature{Format: ssh.KeyAlgoRSASHA512, Blob: make([]byte, 256)}))})...)
	return bare + string(trust.Armor(blob))
}

// The index is read below the signatures, and is pinned by what they sign.
func TestIndexBelowSignatures(t *testing.T) {
	ci := newPerson(t, "ci")
	index := someIndex(t)
	defer index.Close()
	encoded := encodeIndex(t, index)
	manifest := someManifest(t)
	manifest.Size, manifest.Unpacked, manifest.Form = index.Size(), index.Totals, archive.TarZstd
	signed, err := ci.as("releases/prod").Manifest(manifest.Revision.Package(), manifest.Encode(encoded))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		fine bool
	}{
		"as it was":  {string(signed), true},
		"swapped":    {strings.Replace(string(signed), string(encoded), strings.Repeat("x", len(encoded)), 1), false},
		"text above": {strings.Replace(string(signed), string(encoded), "x"+string(encoded), 1), false},
		"text below": {string(signed) + "x", true},
	} {
		bucket := openBucket(t)
		put(t, bucket, ManifestKey(manifest.Revision), test.text)
		_, seekable, err := (&Catalog{Bucket: bucket, Trust: trusting(t, ci.may("ftl-revision@*"))}).Seekable(t.Context(), manifest.Revision, spill.Temporary)
		if test.fine != (err == nil) {
			t.Errorf("%s: %v, want it read: %v", name, err, test.fine)
		}
		if err != nil {
			continue
		}
		if got, err := io.ReadAll(seekable.Encoded()); err != nil || !bytes.Equal(got, encoded) {
			t.Errorf("%s: %v, and it is not the index", name, err)
		}
		seekable.Close()
	}
}

// A key counts from and until the times in its line, by the clock that is against it.
func TestKeyValidity(t *testing.T) {
	ops := newPerson(t, "ops")
	day := func(days int) string {
		return time.Now().Add(time.Duration(days) * 24 * time.Hour).UTC().Format("200601021504Z")
	}
	line := func(option string) string { return `ops namespaces="ftl-*",` + option + " " + ops.line + "\n" }
	text := signedMarker(t, ops.as("releases/prod"), someBlessing(t, "tool.1", 100))
	for _, test := range []struct {
		option string
		since  int // days from now that have passed for sure
		want   string
	}{
		{`valid-after="` + day(-1) + `"`, 0, ""},
		{`valid-after="` + day(1) + `"`, 0, "not yet valid"},
		{`valid-after="` + day(1) + `"`, 2, "not yet valid"},
		{`valid-before="` + day(1) + `"`, 0, ""},
		{`valid-before="` + day(1) + `"`, 2, "no longer valid"},
		{`valid-before="` + day(-1) + `"`, 0, "no longer valid"},
	} {
		bucket := openBucket(t)
		put(t, bucket, "tool.rev", text)
		c := (&Catalog{Bucket: bucket, Trust: trusting(t, line(test.option))}).NotBefore(time.Now().Add(time.Duration(test.since) * 24 * time.Hour))
		_, err := c.Marker(t.Context(), parsePackage(t, "tool"))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %d days on: got %v, want %q", test.option, test.since, err, test.want)
		}
	}
}

func TestParseIdentity(t *testing.T) {
	for text, fine := range map[string]bool{
		"releases": true, "my-releases/prod": true, "a.b_c/d-e": true, strings.Repeat("x", 200): true,
		"": false, "/a": false, "a/": false, "a b": false, "a\nb": false, "a:b": false, "a@b": false, "ä": false, strings.Repeat("x", 201): false,
	} {
		got, err := ParseIdentity(text)
		if (err == nil) != fine || fine && got.String() != text {
			t.Errorf("%q: got %q, %v; want it accepted: %v", text, got, err, fine)
		}
	}
}

// Whatever bytes a marker has, an entry that counts is one that was signed.
func FuzzSignedMarker(f *testing.F) {
	ops := newPerson(f, "ops")
	good := signedMarker(f, ops.as("releases/prod"), someBlessing(f, "tool.1", 100), someBlessing(f, "tool.2", 200))
	line, _, _ := strings.Cut(good, "\n")
	f.Add(good)
	f.Add(strings.Replace(good, " sig=", " sig= sig=", 1))
	f.Add("#x\n" + good + "\r")
	known := make(map[string]bool)
	for text := range strings.Lines(good) {
		known[strings.TrimSuffix(text, "\n")] = true
	}
	signers := trusting(f, ops.may("ftl-marker@tool"))
	pkg := parse(f, "tool.1").Package()
	f.Fuzz(func(t *testing.T, text string) {
		for _, candidate := range []string{text, line + text, text + line, strings.Replace(line, " sig=", text+" sig=", 1)} {
			entries, _ := signers.readMarker(pkg, candidate, signers.clock(time.Time{}), nil)
			for _, entry := range entries {
				if !known[entry.line] {
					t.Errorf("%q counts", entry.line)
				}
			}
		}
	})
}

// Whatever bytes a manifest has, one that counts has the header that was signed.
func FuzzSignedManifest(f *testing.F) {
	ci := newPerson(f, "ci")
	manifest := Manifest{Revision: parse(f, "tool.2026112145296Wq"), Archive: "tool.2026112145296Wq.tgz", File: "tool.tgz", Form: archive.TarGzip}
	good := signedManifestOf(f, manifest, nil, ci)
	header := string(manifest.Encode(nil))
	block := strings.TrimPrefix(good, header)
	f.Add(good)
	f.Add("x: y\n")
	f.Add(block)
	signers := trusting(f, ci.may("ftl-revision@tool"))
	f.Fuzz(func(t *testing.T, text string) {
		for _, candidate := range []string{text, header + text, text + good, header + text + block, header + block + text} {
			if _, err := signers.verifyManifest(manifest.Revision, []byte(candidate), signers.clock(time.Time{})); err == nil && !strings.HasPrefix(candidate, header) {
				t.Errorf("%q counts", candidate)
			}
		}
	})
}

// BenchmarkVerify verifies what a sync reads of each of 200 packages that have something new.
func BenchmarkVerify(b *testing.B) {
	ops := newPerson(b, "ops")
	var entries []Entry
	for i := range MaxEntries {
		entries = append(entries, someBlessing(b, fmt.Sprintf("tool.%d", i), int64(i+1)))
	}
	text := signedMarker(b, ops.as("releases/prod"), entries...)
	signers := trusting(b, ops.may("ftl-*"))
	pkg := entries[0].Revision.Package()
	b.Run("markers", func(b *testing.B) {
		for b.Loop() {
			for range 200 {
				if _, err := signers.readMarker(pkg, text, signers.clock(time.Time{}), nil); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	message := []byte(text[:200])
	made := ed25519.Sign(private, message)
	b.Run("two bare signatures each", func(b *testing.B) { // which is the least that it can take
		for b.Loop() {
			for range 400 {
				if !ed25519.Verify(public, message, made) {
					b.Fatal("it is not verified")
				}
			}
		}
	})
}
