// SPDX-License-Identifier: MPL-2.0

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/template"

	"github.com/goreleaser/goreleaser/v2/pkg/archive"
	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

// projectName is what GoReleaser calls this project: the last part of its module.
const projectName = "terraform-provider-bluegreen"

// expand returns what GoReleaser makes of a template, as far as its values are these. Binary is "" in
// a template that is not about a program.
func expand(text, version, binary string) (string, error) {
	parsed, err := template.New(text).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var expanded strings.Builder
	err = parsed.Execute(&expanded, map[string]string{
		"ProjectName": projectName, "Version": version, "Os": runtime.GOOS, "Arch": runtime.GOARCH,
		"Binary": binary,
	})
	return expanded.String(), err
}

// archiveAll writes an archive of the program for each entry of "archives", and returns the paths.
func archiveAll(project config.Project, program, version, out string) (written []string, err error) {
	for _, a := range project.Archives {
		for _, build := range project.Builds {
			if !slices.Contains(a.IDs, build.ID) {
				continue
			}
			binary, err := expand(build.Binary, version, "")
			if err != nil {
				return nil, err
			}
			name, err := expand(a.NameTemplate, version, "")
			if err != nil {
				return nil, err
			}
			for _, format := range a.Formats {
				path := filepath.Join(out, name+"."+format)
				if err := writeArchive(path, format, program, binary); err != nil {
					return nil, fmt.Errorf("%s: %w", path, err)
				}
				written = append(written, path)
			}
		}
	}
	return written, nil
}

// writeArchive writes an archive in which the program is called binary.
func writeArchive(path, format, program, binary string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	packed, err := archive.New(file, format)
	if err != nil {
		return err
	}
	return errors.Join(packed.Add(config.File{Source: program, Destination: binary}), packed.Close())
}

// writeChecksums writes the file of the checksums of artifacts and of the further files that the
// description names, which it copies to the directory out. It returns the path of the file.
func writeChecksums(c config.Checksum, artifacts []string, version, out string) (string, error) {
	if c.Algorithm != "sha256" {
		return "", fmt.Errorf("checksum: the registry expects sha256, not %q", c.Algorithm)
	}
	var sums strings.Builder
	add := func(path, name string) error {
		sum, err := sumOf(path)
		fmt.Fprintf(&sums, "%x  %s\n", sum, name)
		return err
	}
	for _, path := range artifacts {
		if err := add(path, filepath.Base(path)); err != nil {
			return "", err
		}
	}
	for _, extra := range c.ExtraFiles {
		name, err := expand(extra.NameTemplate, version, "")
		if err != nil {
			return "", err
		}
		path, err := copyTo(out, extra.Glob, name)
		if err != nil {
			return "", err
		}
		if err := add(path, name); err != nil {
			return "", err
		}
	}
	name, err := expand(c.NameTemplate, version, "")
	if err != nil {
		return "", err
	}
	path := filepath.Join(out, name)
	return path, os.WriteFile(path, []byte(sums.String()), 0o644)
}

// copyTo copies a file to the directory out, as name.
func copyTo(out, from, name string) (path string, err error) {
	content, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	path = filepath.Join(out, name)
	return path, os.WriteFile(path, content, 0o644)
}

func sumOf(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	return sum.Sum(nil), err
}
