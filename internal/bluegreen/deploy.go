// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "context"

// deployAndSwitch brings a release live: deploy, check, switch, watch.
func (e *executor) deployAndSwitch(ctx context.Context, release Release) error {
	if err := e.deployPreview(ctx, release); err != nil {
		return err
	}
	return e.bringLive(ctx)
}

// deployPreview brings a release to staging and checks its health there.
func (e *executor) deployPreview(ctx context.Context, release Release) error {
	if err := e.deploy(ctx, release); err != nil {
		return err
	}
	_, err := e.check(ctx)
	return e.giveUpOnError(ctx, err)
}

// promote brings a preview live. It checks the preview again, because it may have
// run unchecked for a long time. Before that it brings the preview to the size of live, if an
// autoscaler has made it smaller.
func (e *executor) promote(ctx context.Context) error {
	env := e.ledger.Staging()
	if _, err := e.growForTraffic(ctx, env); err != nil {
		return operationError("promote", env, err)
	}
	if _, err := e.check(ctx); err != nil {
		return e.giveUpOnError(ctx, err)
	}
	return e.bringLive(ctx)
}

// bringLive moves traffic to staging, whose health check has passed, and watches
// it there.
func (e *executor) bringLive(ctx context.Context) error {
	if err := e.switchTraffic(ctx); err != nil {
		return e.giveUpOnError(ctx, err)
	}
	return e.watch(ctx, runsOf(e.ledger.Slot(e.ledger.Live).Passed))
}

// deploy starts release in staging. It touches nothing but staging.
func (e *executor) deploy(ctx context.Context, release Release) error {
	env := e.ledger.Staging()
	former := e.ledger.Slot(env)
	release = e.ledger.sizeForDeploy(release)
	if e.ledger.HasRelease(env, release) && (former.State == Idle || former.State == Ready) {
		// A version is one build: it is not another one when it comes back.
		release.ImageDigest = former.Release.ImageDigest
	}
	keyed, err := e.withFingerprintKey(ctx)
	if err != nil {
		return operationError("deploy", env, err)
	}
	next, err := keyed.beginDeploy(release, e.stamp(FromConfiguration))
	if err != nil {
		return err
	}
	// The image comes first. If there is none, the standby is still the standby.
	digest, err := e.Platform.Prepare(ctx, release)
	if err != nil {
		return operationError("deploy", env, err)
	}
	if digest != "" {
		release.ImageDigest = digest
	}
	if err := e.commit(ctx, next); err != nil {
		return operationError("deploy", env, err)
	}
	e.progress("deploying %s to %s, replicas: %d", release.Version, env, release.Replicas)
	return e.giveUpOnError(ctx, operationError("deploy", env, e.provision(ctx, former, release)))
}

// withFingerprintKey returns the ledger with a key for its fingerprints. It stays without
// one on a platform that would lose it: no release would be recognized then.
func (e *executor) withFingerprintKey(ctx context.Context) (Ledger, error) {
	l := e.ledger
	if l.Key != "" {
		return l, nil
	}
	if keeper, ok := e.Platform.(KeyKeeper); ok {
		if keeps, err := keeper.KeepsKey(ctx); err != nil || !keeps {
			return l, err
		}
	}
	l.Key = NewFingerprintKey()
	return l, nil
}

// provision starts release in staging in place of former, which was there before.
func (e *executor) provision(ctx context.Context, former Slot, release Release) error {
	env := e.ledger.Staging()
	if former.Release != nil && !release.HasFingerprint(former.Release.Fingerprint, e.ledger.Key) {
		// Requests that began before the last switch may still run there.
		if err := e.Platform.Drain(ctx, env); err != nil {
			return err
		}
	}
	digest, err := e.Platform.Provision(ctx, env, release)
	if err != nil {
		return err
	}
	next, err := e.ledger.finishDeploy(digest)
	if err != nil {
		return err
	}
	return e.commit(ctx, next)
}
