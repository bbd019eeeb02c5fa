// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"context"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Eventually waits until condition returns nil, and fails the test with its last
// error when the test is about to run out of time. It is for
// conditions that can only be polled.
func Eventually(t testing.TB, condition func() error) {
	t.Helper()
	attempt := func() (struct{}, error) { return struct{}{}, condition() }
	pause := backoff.WithBackOff(backoff.NewConstantBackOff(5 * time.Millisecond))
	// The context of a test ends before its cleanup begins.
	ctx := context.WithoutCancel(t.Context())
	if _, err := backoff.Retry(ctx, attempt, pause, backoff.WithMaxElapsedTime(time.Minute)); err != nil {
		t.Fatalf("it did not come to pass: %v", err)
	}
}
