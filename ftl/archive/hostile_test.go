package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hostile is the table of reliability.md §3. A row without refusal is accepted, and becomes what
// GNU tar makes of it.
type hostile struct {
	row     string
	content []byte
	form    Form   // Tar when empty
	refusal string // part of the error
}

var hello = item{name: "hello", content: "hello\n"}

func hostileTable() []hostile {
	var table []hostile
	row := func(name, refusal string, items ...item) {
		table = append(table, hostile{row: name, content: archiveOf(items...), refusal: refusal})
	}
	raw := func(name, refusal string, form Form, content []byte) {
		table = append(table, hostile{row: name, content: content, form: form, refusal: refusal})
	}
	dir := func(name string) item { return item{name: name, flag: tar.TypeDir, mode: 0o755} }
	symlink := func(name, to string) item { return item{name: name, flag: tar.TypeSymlink, link: to, mode: 0o777} }
	link := func(name, to string) item { return item{name: name, flag: tar.TypeLink, link: to} }
	file := func(name string) item { return item{name: name, content: "x"} }
	special := func(flag byte) item { return item{name: "special", flag: flag} }
	deep := func(n int) string { return strings.Repeat("d/", n-1) + "f" }
	good := archiveOf(hello)

	row("1 parent", "..", file("../x"))
	row("1 parent inside", "..", file("a/../../x"))
	row("1 dotdot", "..", dir(".."))
	row("2 absolute", "absolute", file("/tmp/x"))
	row("2 double slash", "absolute", file("//tmp/x"))
	row("3 detour", "..", file("a/../b"))
	row("4 no name", "no name", file(""))
	row("5 dot", "", item{name: ".", flag: tar.TypeDir, mode: 0o777}, file("./a"))
	row("5 dot slash", "", item{name: "./", flag: tar.TypeDir, mode: 0o7777}, file("./a"))
	row("6 unclean", "", file("./a"), file("b//c"), file("d/./e"))
	row("6 unclean duplicate", "twice", file("b//c"), file("./b/c"))
	row("7 dot file", "directory's", file("."))
	row("7 dot symlink", "directory's", symlink("./", "/"))
	row("7 dot hard link", "directory's", hello, link(".", "hello"))
	row("8 newline", "control", file("a\nb"))
	row("8 escape", "control", file("a\x1b[2Jb"))
	row("8 delete", "control", file("a\x7f"))
	raw("8 NUL", "header", Tar, (&tarball{}).pax('x', "path=a\x00b").add(hello).end())
	row("9 not UTF-8", "", file("caf\xe9"))
	row("10 drive", "", file(`C:\x`), file(`\\win\x`))
	raw("11 component", "part of the name", Tar, (&tarball{}).pax('x', "path="+strings.Repeat("n", 256)).add(hello).end())
	raw("11 longest component", "", Tar, (&tarball{}).pax('x', "path="+strings.Repeat("n", 255)).add(hello).end())
	raw("11 path", "longer than 4095", Tar, (&tarball{}).pax('x', "path="+strings.Repeat("nn/", 1365)+"n").add(hello).end())
	raw("11 depth", "deep", Tar, (&tarball{}).pax('x', "path="+deep(101)).add(hello).end())
	raw("11 deepest", "", Tar, (&tarball{}).pax('x', "path="+deep(100)).add(hello).end())
	row("12 symlink out, file through it", "symlink", symlink("l", "/tmp"), file("l/x"))
	row("12 directory through it", "symlink", symlink("l", "/tmp"), dir("l/x"))
	row("12 deep through it", "symlink", symlink("l", "/tmp"), file("l/x/y/z"))
	row("13 jwilk 1", "symlink", symlink("cur", "."), symlink("par", "cur/.."), file("par/moo"))
	row("13 jwilk 2", "symlink", symlink("cur", "."), symlink("cur/par", ".."), file("par/moo"))
	row("13 inside", "symlink", dir("d"), symlink("l", "d"), file("l/x"))
	row("14 trailing slash", "directory's", symlink("link/", "/"), file("link/root/.bashrc"))
	row("14 without it", "symlink", symlink("link", "/"), file("link/root/.bashrc"))
	row("15 symlink then file", "twice", symlink("x", "/etc/passwd"), file("x"))
	row("15 symlink then directory", "twice", symlink("x", "/etc"), dir("x"))
	row("16 escaping symlinks", "", symlink("a", "/etc/passwd"), symlink("b", "../../x"), symlink("c", "nowhere"))
	row("16 empty target", "no target", symlink("a", ""))
	row("16 control in target", "control", symlink("a", "x\ny"))
	row("17 hard link to parent", "..", link("x", "../victim"))
	row("17 hard link absolute", "absolute", link("x", "/etc/shadow"))
	row("17 hard link root", "absolute", link("x", "/../x"))
	row("18 hard link to symlink", "no earlier file", symlink("s", "/etc/passwd"), link("x", "s"))
	row("18 hard link through symlink", "no earlier file", dir("d"), file("d/f"), symlink("s", "d"), link("x", "s/f"))
	row("19 hard link to later", "no earlier file", link("x", "hello"), hello)
	row("19 hard link to missing", "no earlier file", link("x", "y"))
	row("19 hard link to directory", "no earlier file", dir("d"), link("x", "d"))
	row("19 hard link to top", "top directory", link("x", "."))
	row("19 hard link to itself", "no earlier file", link("x", "x"))
	row("19 hard links", "", hello, link("a", "hello"), link("d/b", "./a"))
	row("20 hard link with content", "only a file", hello, item{name: "x", flag: tar.TypeLink, link: "hello", size: 10})
	row("21 chmod through hard link", "", hello, item{name: "x", flag: tar.TypeLink, link: "hello", mode: 0o777})
	row("21 chmod through symlink", "", hello, item{name: "x", flag: tar.TypeSymlink, link: "hello", mode: 0o777})
	for _, flag := range "3467ZVDM" {
		row("22, 23 type "+string(flag), "can be deployed", special(byte(flag)))
	}
	raw("24 GNU sparse", "a sparse file", Tar, sparseFile("gnu"))
	raw("24 PAX sparse 1.0", "a sparse file", Tar, sparseFile("posix"))
	raw("24 PAX sparse 0.1", "sparse", Tar, (&tarball{}).pax('x', "GNU.sparse.major=0", "GNU.sparse.minor=1",
		"GNU.sparse.size=100", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,6").add(hello).end())
	raw("24 PAX sparse unknown", "sparse", Tar, (&tarball{}).pax('x', "GNU.sparse.major=7", "GNU.sparse.minor=7").add(hello).end())
	row("25 huge", "bytes", item{name: "x", size: 1 << 50})
	row("26 negative size", "header", item{name: "x", size: -5})
	broken := archiveOf(hello)
	broken[0] = 'j'
	raw("26 checksum", "header", Tar, broken)
	row("27 directory with size", "only a file", item{name: "d/", flag: tar.TypeDir, size: 1000}, hello)
	row("27 symlink with size", "only a file", item{name: "d", flag: tar.TypeSymlink, link: "x", size: 1000}, hello)
	row("28 special bits", "", item{name: "f", mode: 0o7755, content: "x"}, item{name: "d/", flag: tar.TypeDir, mode: 0o7755})
	row("29 closed directory", "", item{name: "d/", flag: tar.TypeDir, mode: 0o1000}, file("d/f"), dir("d/e/"))
	row("29 write-only directory", "", item{name: "d/", flag: tar.TypeDir, mode: 0o200}, file("d/f"))
	row("30 world-writable", "", item{name: "f", mode: 0o666, content: "x"}, item{name: "d/", flag: tar.TypeDir, mode: 0o777})
	row("31 owner of others", "", hello)
	raw("32 xattrs", "", Tar, (&tarball{}).pax('x', "SCHILY.xattr.user.a=b", "SCHILY.xattr.security.capability=x").add(hello).end())
	row("33 file twice", "twice", hello, hello)
	row("33 file then directory", "twice", file("x"), dir("x/"))
	row("33 directory then file", "twice", dir("x/"), file("x"))
	row("33 implicit then file", "twice", file("x/y"), file("x"))
	row("33 directory twice", "", dir("x/"), item{name: "x", flag: tar.TypeDir, mode: 0o700})
	row("33 directory after its file", "", file("x/y"), item{name: "x", flag: tar.TypeDir, mode: 0o700})
	row("34 case", "", file("A"), file("a"))
	row("35 under a file", "is a file", file("a"), file("a/b"))
	row("35 under a hard link", "is a file", hello, link("a", "hello"), file("a/b"))
	row("35 slash after a file", "directory's", file("a/"))
	gz := gzipOf(good)
	flipped := bytes.Clone(gz)
	flipped[len(flipped)-6] ^= 1
	raw("38 checksum flipped", "checksum", TarGzip, flipped)
	raw("38 length flipped", "checksum", TarGzip, append(bytes.Clone(gz[:len(gz)-1]), 7))
	raw("38 trailer cut", "cut off", TarGzip, gz[:len(gz)-8])
	zst := zstdOf(good)
	flipped = bytes.Clone(zst)
	flipped[len(flipped)-1] ^= 1
	raw("38 zstd checksum flipped", "CRC", TarZstd, flipped)
	raw("38 zstd cut", "cut off", TarZstd, zst[:len(zst)-2])
	big := archiveOf(item{name: "x", content: strings.Repeat("x", 1000)})
	raw("39 cut in data", "cut off", Tar, big[:700])
	raw("39 cut in padding", "cut off", Tar, big[:1520])
	raw("39 cut in header", "cut off", Tar, big[:300])
	raw("40 cut at header", "its end", Tar, good[:1024])
	raw("40 one zero block", "its end", Tar, good[:1536])
	raw("40 zeros as content, cut", "its end", Tar, archiveOf(item{name: "z", content: strings.Repeat("\x00", 2048)})[:2560])
	raw("40 PAX header last", "its end", Tar, (&tarball{}).add(hello).pax('x', "path=x").end())
	raw("41 garbage after gzip", "header", TarGzip, append(bytes.Clone(gz), "garbage, more than ten"...))
	raw("41 short garbage after gzip", "cut off", TarGzip, append(bytes.Clone(gz), 'g'))
	raw("41 NULs after gzip", "header", TarGzip, append(bytes.Clone(gz), make([]byte, 512)...))
	raw("41 member cut in its name", "cut off", TarGzip, append(bytes.Clone(gz), 0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, 'n'))
	for n := 1; n <= 5; n++ {
		raw("41 garbage after zstd", "invalid archive", TarZstd, append(bytes.Clone(zst), "garba"[:n]...))
	}
	raw("42 two members", "", TarGzip, gzipOf(good[:700], good[700:]))
	raw("42 empty member", "", TarGzip, gzipOf(good, nil))
	raw("42 two frames", "", TarZstd, append(zstdOf(good[:700]), zstdOf(good[700:])...))
	raw("43 second tar", "follows", Tar, append(bytes.Clone(good), good...))
	raw("43 second tar, same member", "follows", TarGzip, gzipOf(append(bytes.Clone(good), good...)))
	raw("43 second tar, next member", "follows", TarGzip, gzipOf(good, good))
	raw("43 second tar, next frame", "follows", TarZstd, append(zstdOf(good), zstdOf(good)...))
	raw("43 padding", "", Tar, append(bytes.Clone(good), make([]byte, 10240)...))
	raw("44 no tar", "header", Tar, bytes.Repeat([]byte("text"), 500))
	raw("44 no gzip", "header", TarGzip, good)
	raw("44 no zstd", "invalid archive", TarZstd, good)
	raw("44 zero bytes", "empty", Tar, nil)
	raw("44 zero bytes gzip", "empty", TarGzip, nil)
	raw("44 zero bytes zstd", "empty", TarZstd, nil)
	raw("44 zero bytes plain", "empty", Raw, nil)
	raw("44 empty tar", "empty", Tar, archiveOf())
	raw("44 only dot", "empty", Tar, archiveOf(dir("./")))
	raw("44 gzip of nothing", "empty", TarGzip, gzipOf(nil))
	raw("44 zstd of nothing", "empty", TarZstd, zstdOf(nil))
	raw("44 gzip of nothing as a file", "empty", Gzip, gzipOf(nil))

	raw("global header", "", Tar, (&tarball{}).pax('g', "comment=0123456789").add(hello).end())
	raw("global path", "global", Tar, (&tarball{}).pax('g', "path=other").add(hello).end())
	raw("global size", "global", Tar, (&tarball{}).pax('g', "size=1").add(hello).end())
	raw("PAX path", "", Tar, (&tarball{}).pax('x', "path=pax/name").add(hello).end())
	raw("PAX path out", "..", Tar, (&tarball{}).pax('x', "path=../x").add(hello).end())
	raw("PAX linkpath out", "..", Tar, (&tarball{}).add(hello).pax('x', "linkpath=../x").add(link("l", "hello")).end())
	raw("GNU long name", "", Tar, (&tarball{}).add(item{name: "././@LongLink", flag: 'L', content: strings.Repeat("n", 150) + "\x00"}).add(hello).end())
	raw("GNU long name out", "..", Tar, (&tarball{}).add(item{name: "././@LongLink", flag: 'L', content: "../x\x00"}).add(hello).end())
	raw("GNU long link", "", Tar, (&tarball{}).add(item{name: "././@LongLink", flag: 'K', content: strings.Repeat("n/", 150) + "\x00"}).add(symlink("l", "x")).end())
	raw("PAX records too long", "too long", Tar, (&tarball{}).pax('x', "comment="+strings.Repeat("c", 1<<20)).add(hello).end())
	raw("PAX headers without end", "too many bytes", Tar, append(bytes.Repeat((&tarball{}).pax('x', "comment="+strings.Repeat("c", 1<<19)).Bytes(), 9), good...))
	raw("PAX time", "", Tar, (&tarball{}).pax('x', "mtime=1234567890.123456789").add(hello).end())
	row("prefix", "", item{name: "c", prefix: []byte("a/b"), content: "x"})
	row("dialect: GNU with a prefix", "read alike", item{name: "c", prefix: []byte("a/b"), content: "x"})
	gnu := table[len(table)-1].content
	copy(gnu[257:], "ustar  \x00")
	sum(gnu[:blockSize])
	row("dialect: star with a long prefix", "read alike", item{name: "c", prefix: []byte(strings.Repeat("p", 131) + "00000000000 00000000000 "), content: "x"})
	star := table[len(table)-1].content
	copy(star[508:], "tar\x00")
	sum(star[:blockSize])
	row("dialect: star", "", item{name: "c", prefix: []byte("a/b"), content: "x"})
	star = table[len(table)-1].content
	copy(star[508:], "tar\x00")
	sum(star[:blockSize])
	row("dialect: NULs before the mode", "read alike", file("f"))
	nuls := table[len(table)-1].content
	copy(nuls[100:], "\x00\x000644\x00\x00")
	sum(nuls[:blockSize])
	row("old directory", "", item{name: "d/", flag: 1, mode: 0o755})
	h := table[len(table)-1].content // flag NUL cannot be asked of item
	h[156] = 0
	sum(h[:blockSize])
	return table
}

// sparseFile is a file with a hole, as GNU tar itself writes it.
func sparseFile(format string) []byte {
	out, err := exec.Command("sh", "-c", `cd "$(mktemp -d)" && truncate -s 1M hole && echo x >>hole && tar --sparse --format=`+
		format+` -cf - hole; rm -rf "$PWD"`).Output()
	if err != nil {
		panic(err)
	}
	return out
}

func (h hostile) formOrTar() Form {
	if h.form == "" {
		return Tar
	}
	return h.form
}

// TestHostile runs each row through Scan and Unpack, beside a sentinel tree that must stay as it
// is.
func TestHostile(t *testing.T) {
	for _, h := range hostileTable() {
		t.Run(h.row, func(t *testing.T) {
			root := newStage(t)
			sentinel := newSentinel(t, filepath.Dir(root.Name()))
			files := openFiles(t)
			total, err := Scan(t.Context(), Packed{Content: bytes.NewReader(h.content), Form: h.formOrTar()}, nil)
			h.check(t, "Scan", err)
			if err != nil {
				total = unlimited
			}
			err = Unpack(t.Context(), Packed{bytes.NewReader(h.content), h.formOrTar(), File{Name: "file"}}, root, total)
			h.check(t, "Unpack", err)
			if got := openFiles(t); got != files {
				t.Errorf("%d files are open, want %d", got, files)
			}
			sentinel.check(t)
			if err == nil {
				checkAsGNU(t, root.Name(), h)
			}
		})
	}
}

func (h hostile) check(t *testing.T, what string, err error) {
	t.Helper()
	switch {
	case h.refusal == "" && err != nil:
		t.Fatalf("%s: got %v, want no error", what, err)
	case h.refusal != "" && !errors.Is(err, ErrInvalid):
		t.Errorf("%s: got %v, want ErrInvalid", what, err)
	case h.refusal != "" && !strings.Contains(err.Error(), h.refusal):
		t.Errorf("%s: got %q, want it to say %q", what, err, h.refusal)
	}
}
