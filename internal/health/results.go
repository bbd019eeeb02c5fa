// SPDX-License-Identifier: MPL-2.0

package health

import (
	"context"
	"fmt"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// probeResult is what one probe of one check found. The zero value is a pass.
type probeResult struct {
	cause error
	// interrupted means that the caller's context ended before the probe completed.
	interrupted bool
}

// results keeps the score of every check over all rounds of probes.
type results struct {
	threshold int
	scores    []score
}

type score struct {
	name, subject string
	probed        bool
	// streak counts the passes since the last failure.
	streak int
	// cause is why the last completed probe failed, nil when it passed.
	cause error
}

func newResults(checks []check, threshold int) *results {
	scores := make([]score, len(checks))
	for i, check := range checks {
		scores[i] = score{name: check.name, subject: check.subject}
	}
	return &results{threshold: threshold, scores: scores}
}

// record adds one round of probes, in the order of the checks.
func (r *results) record(round []probeResult) {
	for i, result := range round {
		score := &r.scores[i]
		switch {
		case result.interrupted:
			continue
		case result.cause != nil:
			score.streak = 0
		default:
			score.streak++
		}
		score.probed, score.cause = true, result.cause
	}
}

// hasPassedAll reports whether every check has passed often enough in a row.
func (r *results) hasPassedAll() bool {
	for i := range r.scores {
		if r.scores[i].streak < r.threshold {
			return false
		}
	}
	return true
}

// isAnyFailing reports whether the last completed probe of any check failed.
func (r *results) isAnyFailing() bool {
	for i := range r.scores {
		if r.scores[i].cause != nil {
			return true
		}
	}
	return false
}

// verdict returns for each check why it has not passed. The end of ctx is the
// cause only if no probe found another one.
func (r *results) verdict(ctx context.Context) bluegreen.Verdict {
	verdict := make(bluegreen.Verdict, len(r.scores))
	for _, score := range r.scores {
		verdict[score.name] = r.causeOf(ctx, score)
	}
	return verdict
}

func (r *results) causeOf(ctx context.Context, score score) error {
	switch {
	case !score.probed:
		return newCause(score.subject, fmt.Errorf("no probe completed: %w", context.Cause(ctx)))
	case score.cause != nil:
		return score.cause
	case score.streak < r.threshold:
		return newCause(score.subject,
			fmt.Errorf("passed %d of %d times in a row: %w", score.streak, r.threshold, context.Cause(ctx)))
	default:
		return nil
	}
}

// verdictOfExit returns the exit as the cause of each check that has not passed.
func (r *results) verdictOfExit(exit error) bluegreen.Verdict {
	verdict := make(bluegreen.Verdict, len(r.scores))
	for _, score := range r.scores {
		verdict[score.name] = nil
		if score.streak < r.threshold {
			verdict[score.name] = fmt.Errorf("%w: %w", errExited, exit)
		}
	}
	return verdict
}
