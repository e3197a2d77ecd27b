package cmd

import (
	"bufio"
	"context"
	"io"
	"strings"
)

// hasPerson reports whether somebody can answer a question.
func (p *Program) hasPerson() bool {
	return isTerminal(p.Stdin) && (p.bars != nil || isTerminal(p.Stderr))
}

// confirm asks a person a question, and reports whether the answer is yes. To end the program is an
// answer too.
func (p *Program) confirm(ctx context.Context, format string, args ...any) (bool, error) {
	p.prompt(format+" [y/N] ", args...)
	answers := make(chan string, 1)
	go func() { // it ends with the program, as nothing else ends a read from a terminal
		answer, err := bufio.NewReader(p.Stdin).ReadString('\n')
		if err != nil && err != io.EOF {
			answer = ""
		}
		answers <- answer
	}()
	select {
	case <-ctx.Done():
		p.endPrompt()
		return false, context.Cause(ctx)
	case answer := <-answers:
		answer = strings.ToLower(strings.TrimSpace(answer))
		return answer == "y" || answer == "yes", nil
	}
}
