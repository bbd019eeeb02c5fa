// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// Patience is how long a client of AwaitNoFailure waits for an answer.
const Patience = time.Second

// AwaitNoFailure makes requests, each on a connection of its own, until so many in a row have
// succeeded that every replica in the traffic has answered. It returns when the last request
// failed, the zero time if none has.
func AwaitNoFailure(t testing.TB, url string) (last time.Time) {
	t.Helper()
	visitor := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Patience}
	Eventually(t, func() error {
		for range 40 {
			if err := visit(visitor, url); err != nil {
				last = time.Now()
				return err
			}
		}
		return nil
	})
	return last
}

func visit(visitor *http.Client, url string) error {
	response, err := visitor.Get(url)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
