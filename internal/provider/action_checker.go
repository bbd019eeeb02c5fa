// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// platformVerdict is the health check of an action, which does not know the configured one. It asks
// who looks after the replicas: the agent, which makes the configured check, or the cluster.
type platformVerdict struct{ platform bluegreen.Platform }

var _ bluegreen.Checker = platformVerdict{}

// verdictInterval is the time between two looks at the verdict of the platform.
const verdictInterval = time.Second

// Await implements bluegreen.Checker.
func (v platformVerdict) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	for {
		verdict := v.Probe(ctx, target)
		if verdict.IsHealthy() || target.Exited(ctx) != nil {
			return verdict
		}
		select {
		case <-ctx.Done():
			return verdict
		case <-time.After(verdictInterval):
		}
	}
}

// Probe implements bluegreen.Checker.
func (v platformVerdict) Probe(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	return bluegreen.Verdict{"platform": v.judge(ctx, target.ID())}
}

// judge returns what is wrong with the replica, nil if nothing is.
func (v platformVerdict) judge(ctx context.Context, id string) error {
	name, _, _ := strings.Cut(id, "-")
	env, err := bluegreen.ParseEnvironment(name)
	if err != nil {
		return err
	}
	instances, err := v.platform.Instances(ctx, env)
	if err != nil {
		return errors.Join(bluegreen.ErrCouldNotAsk, err)
	}
	for _, instance := range instances {
		switch {
		case instance.ID != id:
		case !instance.Running:
			return errors.New("it does not run")
		case instance.Unready != "":
			return errors.New(instance.Unready)
		default:
			return nil
		}
	}
	return errors.New("it is gone")
}

// quietPlatform does not tell what replicas answer to health checks. Their answers may contain the
// values of environment variables, which an action does not know and so cannot mask.
type quietPlatform struct{ openPlatform }

// withoutAnswers returns the platform without the answers of replicas. A cluster tells none.
func withoutAnswers(platform openPlatform, kind string) bluegreen.Platform {
	if kind == kindKubernetes {
		return platform
	}
	quiet := quietPlatform{platform}
	if keeper, ok := platform.(agentKeeper); ok {
		return struct {
			quietPlatform
			agentKeeper
		}{quiet, keeper}
	}
	return quiet
}

// Instances implements bluegreen.Workloads.
func (p quietPlatform) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	instances, err := p.openPlatform.Instances(ctx, env)
	for i := range instances {
		if instances[i].Unready != "" {
			instances[i].Unready = "it does not pass the health check of its configuration; a plan shows the cause"
		}
	}
	return instances, err
}

// Logs implements bluegreen.Workloads. There is nobody who may see them.
func (p quietPlatform) Logs(context.Context, bluegreen.Instance, int) ([]string, error) {
	return nil, nil
}
