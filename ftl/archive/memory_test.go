//go:build linux && !race

package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const hostileRoom = 64 << 20 // what a process may take for any row of the table

// bombs are the rows whose point is their size. They are too large for the table, so they are
// written as they go. Each unpacks into far more than the manifest says, which is what the host
// knows.
var bombs = []struct {
	row   string
	write func(io.Writer) error
}{
	{"36 half a GiB of zeros", func(w io.Writer) error {
		const size = 512 << 20
		if _, err := w.Write(rawHeader(item{name: "zeros", size: size})); err != nil {
			return err
		}
		_, err := io.CopyN(w, zeros{}, size+2*blockSize)
		return err
	}},
	{"37 more entries than there may be", func(w io.Writer) error {
		header := rawHeader(item{name: "0000000", flag: tar.TypeReg})
		for range maxEntries + 1 {
			for digit := 6; digit >= 0; digit-- { // the next name
				if header[digit]++; header[digit] <= '9' {
					break
				}
				header[digit] = '0'
			}
			sum(header)
			if _, err := w.Write(header); err != nil {
				return err
			}
		}
		_, err := io.CopyN(w, zeros{}, 2*blockSize)
		return err
	}},
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestHostileMemory runs all rows, one after the other, through a process of their own, from files,
// as ftl does. What that process has taken at most, no row has exceeded.
func TestHostileMemory(t *testing.T) {
	const role = "FTL_TEST_UNPACK_ALL"
	if dir := os.Getenv(role); dir != "" {
		unpackAll(t, dir)
		return
	}
	dir := t.TempDir()
	for i, h := range hostileTable() {
		name := fmt.Sprintf("row%03d.%s", i, h.formOrTar())
		if err := os.WriteFile(filepath.Join(dir, name), h.content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range bombs {
		if err := writeBomb(filepath.Join(dir, "bomb"+b.row[:2]+"."+string(TarZstd)), b.write); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(os.Args[0], "-test.run", "^TestHostileMemory$", "-test.v")
	command.Env = append(os.Environ(), role+"="+dir)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	if got, want := bytes.Count(out, []byte("unpacked ")), len(hostileTable())+len(bombs); got != want {
		t.Errorf("%d rows were unpacked, want %d\n%s", got, want, out)
	}
}

func writeBomb(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	return errors.Join(write(z), z.Close(), f.Close())
}

// unpackAll is the process that is measured.
func unpackAll(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		_, extension, _ := strings.Cut(name, ".")
		form, isBomb := Form(extension), strings.HasPrefix(name, "bomb")
		total := Totals{1000, 1 << 20}
		if !isBomb {
			// Spool goes through all of it first, to know what to expect.
			scanned, err := Scan(t.Context(), Packed{Content: opened(t, path), Form: form}, nil)
			if err == nil {
				total = scanned
			}
		}
		err := Unpack(t.Context(), Packed{opened(t, path), form, File{Name: "file"}}, newStage(t), total)
		if isBomb && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
		most := peakMemory(t)
		fmt.Printf("unpacked %s: at most %d KiB\n", name, most>>10)
		if most > hostileRoom {
			t.Fatalf("%s: the process took %d MiB, want at most %d", name, most>>20, hostileRoom>>20)
		}
	}
}

func opened(t *testing.T, path string) io.Reader {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// peakMemory is the most memory that this process has held, in bytes; see proc_pid_status(5).
func peakMemory(t *testing.T) int64 {
	f := opened(t, "/proc/self/status")
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("/proc/self/status has no VmHWM")
	return 0
}
