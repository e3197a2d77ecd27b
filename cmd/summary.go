package cmd

import (
	"fmt"
	"os"
	"strings"

	"github.com/rhettg/ftl/hooks"
)

// summarize adds what came of a blessing to the summary of a job on GitHub, if there is one.
func (w *waiting) summarize(failed error) {
	path := w.p.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		w.p.warn("the summary of the job can't be written: %v", err)
		return
	}
	_, err = file.WriteString(w.markdown(failed))
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		w.p.warn("the summary of the job can't be written: %v", err)
	}
}

// markdown is the summary.
func (w *waiting) markdown(failed error) string {
	var text strings.Builder
	result := fmt.Sprintf("runs on %d of %s", len(w.last.Well), hostCount(len(w.roster)))
	if failed != nil {
		result = failed.Error()
	}
	fmt.Fprintf(&text, "### `%s`\n\n%s\n", w.entry.Revision, markdownText(result))
	if len(w.last.Failed)+len(w.last.Missing) > 0 {
		fmt.Fprint(&text, "\n| host | |\n|---|---|\n")
	}
	for _, f := range w.last.Failed {
		fmt.Fprintf(&text, "| %s | failed: %s |\n", markdownText(f.Host), markdownText(f.Message))
	}
	for _, m := range w.last.Missing {
		fmt.Fprintf(&text, "| %s | %s |\n", markdownText(m.Host), markdownText(m.Message))
	}
	return text.String() + "\n"
}

// markdownText takes their meaning from the characters that others wrote.
func markdownText(text string) string {
	text = strings.ReplaceAll(hooks.Harmless(text), "\n", " ")
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'", "[", `\[`).Replace(text)
}
