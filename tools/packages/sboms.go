// SPDX-License-Identifier: MPL-2.0

package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

// dist is the directory in which GoReleaser runs the command of an entry of "sboms".
const dist = "dist"

// listAll writes what the program is made of, for each build and entry of "sboms", and returns the
// paths.
func listAll(project config.Project, program, version, out string) (written []string, err error) {
	artifact, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	for _, s := range project.SBOMs {
		if s.Artifacts != "binary" || len(s.Documents) != 1 || len(s.IDs)+len(s.Env) > 0 {
			return nil, fmt.Errorf("sboms: %s: only one document for each binary is supported here", s.ID)
		}
		for _, build := range project.Builds {
			binary, err := expand(build.Binary, version, "")
			if err != nil {
				return nil, err
			}
			name, err := expand(s.Documents[0], version, binary)
			if err != nil {
				return nil, err
			}
			document, err := filepath.Abs(filepath.Join(out, name))
			if err != nil {
				return nil, err
			}
			if err := list(s, artifact, document); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			written = append(written, filepath.Join(out, name))
		}
	}
	return written, nil
}

// list writes a document of what the program artifact is made of, and checks it.
func list(s config.SBOM, artifact, document string) error {
	variables := map[string]string{"artifact": artifact, "document": document}
	var args []string
	for _, arg := range s.Args {
		args = append(args, os.Expand(arg, func(name string) string { return variables[name] }))
	}
	command := exec.Command(s.Cmd, args...)
	command.Dir = dist
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return checkDocument(document, artifact)
}

// checkDocument returns an error unless a document in the format CycloneDX names the module of the
// program, and each module that the Go toolchain has recorded in it.
func checkDocument(document, program string) error {
	content, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	type component struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	var listed struct {
		Metadata struct {
			Component component `json:"component"`
		} `json:"metadata"`
		Components []component `json:"components"`
	}
	if err := json.Unmarshal(content, &listed); err != nil {
		return err
	}
	recorded, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	if listed.Metadata.Component.Name != recorded.Main.Path {
		return fmt.Errorf("it is about %q, not about %s", listed.Metadata.Component.Name, recorded.Main.Path)
	}
	if len(recorded.Deps) == 0 {
		return fmt.Errorf("%s records no modules", program)
	}
	for _, module := range recorded.Deps {
		if !slices.Contains(listed.Components, component{module.Path, module.Version}) {
			return fmt.Errorf("it does not name %s %s", module.Path, module.Version)
		}
	}
	return nil
}
