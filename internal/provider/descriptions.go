// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"embed"
	"io/fs"
	"strings"
	"sync"
)

// descriptionFiles hold the descriptions of the schema, one file for each block.
// Below a heading such as "## docker.port" is the text of that attribute of the
// resource. Those of the provider begin with "provider.", those of the data source
// with "data.".
//
//go:embed descriptions/*.md
var descriptionFiles embed.FS

// describe returns the description below a heading, "" if there is none. A test
// makes sure that every attribute has one, and that every text is used.
func describe(heading string) string { return descriptions()[heading] }

var descriptions = sync.OnceValue(func() map[string]string {
	texts := map[string]string{}
	files, _ := fs.Glob(descriptionFiles, "descriptions/*.md")
	for _, file := range files {
		content, _ := fs.ReadFile(descriptionFiles, file)
		for _, section := range strings.Split("\n"+string(content), "\n## ")[1:] {
			heading, text, _ := strings.Cut(section, "\n")
			texts[heading] = unwrap(text)
		}
	}
	return texts
})

// unwrap joins the lines of each paragraph: a line break is nothing but layout.
func unwrap(text string) string {
	var all []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		all = append(all, strings.Join(strings.Fields(paragraph), " "))
	}
	return strings.Join(all, "\n\n")
}
