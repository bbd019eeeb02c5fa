// SPDX-License-Identifier: MPL-2.0

// Packages builds the packages for Linux distributions, the archives for the registry, the lists of
// what the program is made of (SBOM) and the file of the checksums of all these, as .goreleaser.yml
// describes them, for this system and from a program that is built already:
//
//	packages -program FILE -version VERSION -out DIR
//
// A release builds them with GoReleaser. This program reads the same description, which it refuses
// if GoReleaser would, so that a change of it is tested without GoReleaser, which takes minutes to
// build.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	"go.yaml.in/yaml/v3"
)

// description is an entry of "nfpms" in .goreleaser.yml. A key that is not here is an error, so
// that none is left out of the packages that are tested.
type description struct {
	ID          string         `yaml:"id"`
	Builds      []string       `yaml:"ids"`
	PackageName string         `yaml:"package_name"`
	Vendor      string         `yaml:"vendor"`
	Maintainer  string         `yaml:"maintainer"`
	Homepage    string         `yaml:"homepage"`
	License     string         `yaml:"license"`
	Section     string         `yaml:"section"`
	Description string         `yaml:"description"`
	Formats     []string       `yaml:"formats"`
	Bindir      string         `yaml:"bindir"`
	Contents    files.Contents `yaml:"contents"`
	Scripts     nfpm.Scripts   `yaml:"scripts"`
}

const configuration = ".goreleaser.yml"

func main() {
	log.SetFlags(0)
	log.SetPrefix("packages: ")
	program := flag.String("program", "", "the program to pack")
	version := flag.String("version", "", "its version")
	out := flag.String("out", "", "where to write the packages")
	flag.Parse()
	if err := build(*program, *version, *out); err != nil {
		log.Fatal(err)
	}
}

// build writes everything to the directory out, and prints the paths.
func build(program, version, out string) error {
	project, err := config.Load(configuration)
	if err != nil {
		return fmt.Errorf("%s: %w", configuration, err)
	}
	artifacts, err := packAll(program, version, out)
	if err != nil {
		return err
	}
	archives, err := archiveAll(project, program, version, out)
	if err != nil {
		return err
	}
	lists, err := listAll(project, program, version, out)
	if err != nil {
		return err
	}
	artifacts = append(append(artifacts, archives...), lists...)
	sums, err := writeChecksums(project.Checksum, artifacts, version, out)
	if err != nil {
		return err
	}
	for _, path := range append(artifacts, sums) {
		fmt.Println(path)
	}
	return nil
}

// packAll writes all packages to the directory out, and returns their paths.
func packAll(program, version, out string) (written []string, err error) {
	descriptions, err := read(configuration)
	if err != nil {
		return nil, err
	}
	for _, d := range descriptions {
		for _, format := range d.Formats {
			path, err := d.pack(format, program, version, out)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", format, err)
			}
			written = append(written, path)
		}
	}
	return written, nil
}

// read returns what a configuration of GoReleaser says of packages.
func read(path string) ([]description, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all struct {
		Nfpms yaml.Node `yaml:"nfpms"`
	}
	if err := yaml.Unmarshal(content, &all); err != nil {
		return nil, err
	}
	part, err := yaml.Marshal(&all.Nfpms)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(part))
	decoder.KnownFields(true)
	var descriptions []description
	if err := decoder.Decode(&descriptions); err != nil {
		return nil, fmt.Errorf("%s: nfpms: %w", path, err)
	}
	return descriptions, nil
}

// pack writes a package to the directory out and returns its path.
func (d description) pack(format, program, version, out string) (written string, err error) {
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	contents := append(d.Contents[:len(d.Contents):len(d.Contents)], &files.Content{
		Source: program, Destination: path.Join(d.Bindir, d.PackageName),
		FileInfo: &files.ContentFileInfo{Mode: 0o755},
	})
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: d.PackageName, Arch: runtime.GOARCH, Platform: "linux", Version: version, Section: d.Section,
		Maintainer: d.Maintainer, Description: d.Description, Vendor: d.Vendor, Homepage: d.Homepage,
		License:      d.License,
		Overridables: nfpm.Overridables{Scripts: d.Scripts, Contents: contents},
	})
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return "", err
	}
	written = filepath.Join(out, packager.ConventionalFileName(info))
	file, err := os.Create(written)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return written, packager.Package(info, file)
}
