// SPDX-License-Identifier: MPL-2.0

package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Offline reads a state directory that no agent serves. Nothing runs then: even
// processes that are still there get no traffic.
type Offline struct{ dir store.Dir }

// NewOffline returns a reader of stateDir, which need not exist.
func NewOffline(stateDir string) (*Offline, error) {
	dir, err := store.OpenDir(stateDir)
	return &Offline{dir}, err
}

// MissingDir returns the state directory if it does not exist, "" if it does.
func (o *Offline) MissingDir() string {
	if _, err := os.Stat(string(o.dir)); errors.Is(err, fs.ErrNotExist) {
		return string(o.dir)
	}
	return ""
}

// deployment returns the directory of a deployment, which need not exist. It returns an
// error if other users can access the state directory.
func (o *Offline) deployment(name string) (string, error) {
	if err := o.dir.Check(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return o.dir.Deployment(name), nil
}

// Deployment returns the ledger and the endpoints of a deployment, or
// bluegreen.ErrNotFound. Running is nil in its status.
func (o *Offline) Deployment(name string) (bluegreen.Status, error) {
	dir, err := o.deployment(name)
	if err != nil {
		return bluegreen.Status{}, err
	}
	doc, err := store.ReadDocument(dir, name)
	if err != nil {
		return bluegreen.Status{}, err
	}
	if doc.Ledger.Key, err = store.OpenKeyFile(dir).Key(); err != nil {
		return bluegreen.Status{}, err
	}
	return api.NewDeploymentReply(doc, nil, nil).Status(), nil
}

// DeploymentNames returns the names of all deployments, sorted, also of those that an agent
// serves.
func (o *Offline) DeploymentNames() ([]string, error) {
	if err := o.dir.Check(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return o.dir.DeploymentNames()
}

// KeptSettings returns the settings that a deployment keeps. Those of a file that is damaged are left
// out.
func (o *Offline) KeptSettings(name string) (KeptSettings, error) {
	dir, err := o.deployment(name)
	if err != nil {
		return KeptSettings{}, err
	}
	doc, err := store.ReadDocument(dir, name)
	if err != nil {
		return KeptSettings{}, err
	}
	upkeep, _ := store.OpenUpkeepFile(dir) // What it could not read is not in it.
	return store.NewKeptSettings(doc, upkeep), nil
}

// Outage says that no agent carries the traffic of the deployments.
func (o *Offline) Outage() *bluegreen.Outage {
	return &bluegreen.Outage{
		Cause: fmt.Sprintf("no agent runs for the state directory %s (see its log, %s)", o.dir, o.dir.Log()),
		Next:  "The next apply starts the agent again. Replicas that still run are kept.",
	}
}

// History returns the archived records, oldest first.
func (o *Offline) History(name string) ([]bluegreen.Record, error) {
	dir, err := o.deployment(name)
	if err != nil {
		return nil, err
	}
	return store.ReadHistory(dir, name)
}

// Logs returns at most the last n lines that an instance wrote.
func (o *Offline) Logs(name string, env bluegreen.Environment, id string, n int) ([]string, error) {
	if store.ReplicaNumber(id) == 0 || id != fmt.Sprintf("%s-%d", env, store.ReplicaNumber(id)) {
		return nil, fmt.Errorf("there is no instance %q in %s", id, env)
	}
	dir, err := o.deployment(name)
	if err != nil {
		return nil, err
	}
	return process.Logs(store.ReplicaDir(store.EnvironmentDir(dir, env), id), n)
}

// CheckListen returns an error unless the deployment called name can listen on
// address: the *socket.AddressError says who has the address. An address that the
// deployment already has is allowed.
func CheckListen(stateDirectory, name, address string) error {
	if err := socket.CheckAddress(address); err != nil {
		return err
	}
	dir, err := store.OpenDir(stateDirectory)
	if err != nil {
		return err
	}
	switch holder := store.DeploymentAt(dir, address); holder {
	case name:
		return nil
	case "":
		return socket.CheckFree(address)
	default:
		err := fmt.Errorf("deployment %q has that address", holder)
		return &socket.AddressError{Address: address, Deployment: holder, Err: err}
	}
}
