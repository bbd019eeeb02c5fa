// SPDX-License-Identifier: MPL-2.0

package health

import (
	"context"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func (e *Exec) check() (check, error) {
	if len(e.Command) == 0 || e.Command[0] == "" {
		return check{}, configError("exec.command", "is empty: it needs a program to run")
	}
	// The arguments may hold a secret, so only the program is shown.
	return check{name: "exec", subject: firstLine(e.Command[0]), probe: execProbe{slices.Clone(e.Command)}.run}, nil
}

// execProbe passes when its command exits with 0.
type execProbe struct{ command []string }

func (p execProbe) run(ctx context.Context, target bluegreen.Target) error {
	return target.Exec(ctx, p.command)
}
