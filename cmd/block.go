package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/rhettg/ftl/hooks"
)

// A block is lines on a terminal that are drawn again in the same place.
type block struct {
	out    io.Writer // nil: not a terminal, and nothing is drawn
	file   *os.File
	height int
}

// newBlock returns a block on stderr.
func (p *Program) newBlock() *block {
	if p.bars == nil || p.quiet || p.json {
		return &block{}
	}
	file, _ := p.bars.out.(*os.File)
	return &block{out: p.Stderr, file: file}
}

// draw replaces the lines that were drawn before. What is printed meanwhile has to come after
// erase.
func (b *block) draw(lines []string) {
	if b.out == nil {
		return
	}
	b.end()
	width, height, err := term.GetSize(int(b.file.Fd()))
	if err != nil {
		return
	}
	lines = lines[:min(len(lines), max(1, height-1))]
	for _, line := range lines {
		fmt.Fprintln(b.out, cutTo(hooks.Harmless(line), width))
	}
	b.height = len(lines)
}

// end takes the lines away.
func (b *block) end() {
	if b.out != nil && b.height > 0 {
		fmt.Fprint(b.out, strings.Repeat("\x1b[A\x1b[2K", b.height)+"\r")
	}
	b.height = 0
}

// cutTo returns what fits into a line.
func cutTo(line string, width int) string {
	runes := []rune(line)
	if len(runes) < width || width < 2 {
		return line
	}
	return string(runes[:width-1])
}
