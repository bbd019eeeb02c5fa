// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "context"

// destroy removes the deployment. It takes the traffic away, waits for requests
// in flight, removes the instances, and erases the ledger last.
func (e *executor) destroy(ctx context.Context) error {
	if !e.ledger.Destroying {
		e.progress("destroying: taking the traffic away")
		if err := e.commit(ctx, e.ledger.beginDestroy()); err != nil {
			return operationError("destroy", e.ledger.Live, err)
		}
	}
	for _, env := range Environments() {
		if err := e.Platform.Drain(ctx, env); err != nil {
			return operationError("destroy", env, err)
		}
		if err := e.Platform.Remove(ctx, env); err != nil {
			return operationError("destroy", env, err)
		}
	}
	return operationError("destroy", e.ledger.Live, e.Platform.Erase(ctx))
}
