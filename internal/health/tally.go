// SPDX-License-Identifier: MPL-2.0

package health

import (
	"context"
	"fmt"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// outcome is what one probe of one check showed. The zero outcome is a pass.
type outcome struct {
	cause error
	// interrupted: the caller's context ended first, so the probe shows nothing.
	interrupted bool
}

// tally keeps the score of every check over the rounds.
type tally struct {
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

func newTally(checks []check, threshold int) *tally {
	scores := make([]score, len(checks))
	for i, check := range checks {
		scores[i] = score{name: check.name, subject: check.subject}
	}
	return &tally{threshold: threshold, scores: scores}
}

// add counts one round; outcomes are in the order of the checks.
func (t *tally) add(round []outcome) {
	for i, outcome := range round {
		score := &t.scores[i]
		switch {
		case outcome.interrupted:
			continue
		case outcome.cause != nil:
			score.streak = 0
		default:
			score.streak++
		}
		score.probed, score.cause = true, outcome.cause
	}
}

// settled reports whether every check has passed often enough in a row.
func (t *tally) settled() bool {
	for i := range t.scores {
		if t.scores[i].streak < t.threshold {
			return false
		}
	}
	return true
}

// failing reports whether a check failed when it was last probed.
func (t *tally) failing() bool {
	for i := range t.scores {
		if t.scores[i].cause != nil {
			return true
		}
	}
	return false
}

// verdict says for each check why it has not passed. ctx is what ended the
// probing, and to blame only where no probe found another cause.
func (t *tally) verdict(ctx context.Context) bluegreen.Verdict {
	verdict := make(bluegreen.Verdict, len(t.scores))
	for _, score := range t.scores {
		verdict[score.name] = t.shortfall(ctx, score)
	}
	return verdict
}

func (t *tally) shortfall(ctx context.Context, score score) error {
	switch {
	case !score.probed:
		return newCause(score.subject, fmt.Errorf("no probe completed: %w", context.Cause(ctx)))
	case score.cause != nil:
		return score.cause
	case score.streak < t.threshold:
		return newCause(score.subject, fmt.Errorf("passed %d of %d times in a row: %w", score.streak, t.threshold, context.Cause(ctx)))
	default:
		return nil
	}
}

// exitedVerdict blames the end of the instance for every check that has not passed.
func (t *tally) exitedVerdict(exit error) bluegreen.Verdict {
	verdict := make(bluegreen.Verdict, len(t.scores))
	for _, score := range t.scores {
		verdict[score.name] = nil
		if score.streak < t.threshold {
			verdict[score.name] = fmt.Errorf("%w: %w", ErrExited, exit)
		}
	}
	return verdict
}
