// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The generator of the docs takes the braces of a hexagon for its own: what is left
// of the node is no diagram.
func TestDiagramsAreWhole(t *testing.T) {
	t.Parallel()
	var pages []string
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	diagrams := 0
	diagram, label := regexp.MustCompile("(?s)```mermaid\n(.*?)```"), regexp.MustCompile(`"[^"]*"`)
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range diagram.FindAllStringSubmatch(string(content), -1) {
			diagrams++
			if !strings.HasPrefix(block[1], "flowchart") {
				continue
			}
			for line := range strings.Lines(block[1]) {
				if bare := label.ReplaceAllString(line, ""); strings.Contains(bare, "<b") {
					t.Errorf("%s: a label outside of its node: %s", page, line)
				}
			}
		}
	}
	if diagrams < 5 {
		t.Errorf("there are %d diagrams in %d pages", diagrams, len(pages))
	}
}
