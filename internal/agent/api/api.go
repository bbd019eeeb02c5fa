// SPDX-License-Identifier: MPL-2.0

package api

import (
	"errors"
	"net/http"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Version is what this agent and this client speak. Both must say the same,
// because a long-lived agent meets providers that were installed after it.
const Version = 1

// The headers of every request.
const (
	VersionHeader = "Bluegreen-Api"
	LockHeader    = "Bluegreen-Lock"
)

// These variables tell an agent in a container where the socket of the Docker engine is, and
// what the labels of its containers call it. They are no flags, because an agent of an
// earlier version ends on a flag that it does not know.
const (
	EngineSocketVariable = "BLUEGREEN_ENGINE_SOCKET"
	AgentNameVariable    = "BLUEGREEN_AGENT_NAME"
)

// LeaveWithinVariable limits how long an agent takes to finish what is in flight when it leaves, a
// duration such as "90s". Without it the drain timeouts of the deployments do.
const LeaveWithinVariable = "BLUEGREEN_LEAVE_WITHIN"

// MaxBody bounds what a request may hold: a ledger and a release, both small.
const MaxBody = 16 << 20

// The bodies of requests and responses.
type (
	VersionReply struct {
		API int `json:"api"`
		PID int `json:"pid"`
		// Parent is the process that starts the agent again when it dies, 0 if there is none.
		Parent int `json:"parent,omitempty"`
		// KeepsKey is false for an agent of an earlier version, which does not keep the key
		// of the fingerprints.
		KeepsKey bool `json:"keeps_key,omitempty"`
		// HeedsSettings is false for an agent of an earlier version, which does not know the
		// settings of a release.
		HeedsSettings bool `json:"heeds_settings,omitempty"`
		// FollowsLinks is false for an agent of an earlier version, which does not know this
		// setting.
		FollowsLinks bool `json:"follows_links,omitempty"`
		// Version and Build tell which build of the program the agent is; see the package
		// build. An agent of an earlier version does not tell.
		Version string `json:"version,omitempty"`
		Build   string `json:"build,omitempty"`
		// Manager is who has started it, and so who replaces it. It is "" for an agent of an
		// earlier version.
		Manager Manager `json:"manager,omitempty"`
	}
	DeploymentReply struct {
		Ledger bluegreen.Ledger `json:"ledger"`
		// Key is sent next to the ledger, because Ledger.Key is never encoded. An agent of
		// an earlier version sends none.
		Key bluegreen.FingerprintKey `json:"fingerprint_key,omitempty"`
		// Running counts the replicas that run.
		Running map[bluegreen.Environment]int `json:"running"`
		// Unready counts those of Running that do not listen or are unhealthy.
		Unready map[bluegreen.Environment]int `json:"unready,omitempty"`
		// Outage says why no client reaches live, "" if clients do. An agent of an earlier
		// version does not send it.
		Outage string `json:"outage,omitempty"`
		// LostLive says which file of live is lost, so that it is not known what should run there, ""
		// if none is. An agent of an earlier version does not send it.
		LostLive string `json:"lost_live,omitempty"`
		// Agent tells which agent answers. An agent of an earlier version does not send it.
		Agent    *VersionReply `json:"agent,omitempty"`
		Endpoint string        `json:"endpoint"`
		Preview  string        `json:"preview"`
	}
	CommitRequest struct {
		Ledger bluegreen.Ledger `json:"ledger"`
		// Key is that of the ledger. An agent of an earlier version does not keep it.
		Key      bluegreen.FingerprintKey `json:"fingerprint_key,omitempty"`
		Closed   []bluegreen.Record       `json:"closed,omitempty"`
		Frontend store.Frontend           `json:"frontend"`
		// Upkeep says how the replicas of a release are looked after. Without it nothing
		// of that changes: a client of an earlier version sends none.
		Upkeep *store.Upkeep `json:"upkeep,omitempty"`
	}
	// EngineReply says who uses the Docker engine of the agent's host.
	EngineReply struct {
		// Watching are the deployments that ask for the engine, and Locked those that are
		// being changed, so that they may be about to ask for it.
		Watching []string `json:"watching,omitempty"`
		Locked   []string `json:"locked,omitempty"`
		// Problem says why the agent cannot use the engine, "" if it can.
		Problem string `json:"problem,omitempty"`
	}
	LockRequest struct {
		Holder string `json:"holder"`
	}
	LockReply struct {
		Token string `json:"token"`
		// Damage says which files of the deployment are lost, and what brings them back. An agent
		// of an earlier version does not send it.
		Damage []string `json:"damage,omitempty"`
	}
	ProvisionRequest struct {
		Release bluegreen.Release `json:"release"`
		// Env is sent next to the release, because Release.Env is never encoded.
		Env map[string]string `json:"env,omitempty"`
		// Ports is the range that the replicas get their ports from, "" for that of the agent. An
		// agent of an earlier version uses its own.
		Ports string `json:"replica_ports,omitempty"`
		// Settings are those of the release, which Release does not encode. An agent of an
		// earlier version does not know them.
		Settings process.Settings `json:"settings,omitzero"`
	}
	ProvisionReply struct {
		Digest string `json:"digest"`
	}
	PrepareRequest struct {
		Release  bluegreen.Release `json:"release"`
		Settings process.Settings  `json:"settings,omitzero"`
	}
	ScaleRequest struct {
		Replicas int `json:"replicas"`
	}
	ExecRequest struct {
		Command []string `json:"command"`
	}
	RestartRequest struct {
		Incarnation string `json:"incarnation"`
	}
	InstanceReply struct {
		bluegreen.Instance
		// Address is where the instance listens, "" while it does not run or does not listen.
		Address string `json:"address,omitempty"`
		// NotListening says why a running instance has no address: what listens where it
		// should. An agent of an earlier version does not look who listens.
		NotListening string `json:"not_listening,omitempty"`
		// Listeners identify the sockets that it listens with. They are there only in the
		// answer for one instance.
		Listeners []string `json:"listeners,omitempty"`
	}
)

// Manager is who has started an agent.
type Manager string

// The managers.
const (
	ManagedByProvider Manager = "provider"
	ManagedByService  Manager = "service"
	ManagedByHand     Manager = "hand"
)

// Failure is an error on the wire.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// The fields of the typed errors.
	Holder  *bluegreen.Holder    `json:"holder,omitempty"`
	Path    string               `json:"path,omitempty"`
	Address *socket.AddressError `json:"address,omitempty"`
	Agent   *VersionReply        `json:"agent,omitempty"`
	Setting string               `json:"setting,omitempty"`
}

// The codes of failures, and the HTTP statuses that go with them.
const (
	codeNotFound   = "not_found"
	codeStale      = "stale"
	codeHeld       = "held"
	codeLockLost   = "lock_lost"
	codeUnreadable = "unreadable"
	codeAddress    = "address"
	codeImage      = "image"
	codeSetting    = "setting"
	CodeVersion    = "version"
	codeLeaving    = "leaving"
	// An earlier version knows these not, and takes them for codeFailed.
	codeNotProvisioned = "not_provisioned"
	codeNoSpace        = "no_space"

	codeInvalid = "invalid"
	codeFailed  = "failed"
)

// Statuses are the HTTP statuses of the codes.
var Statuses = map[string]int{
	codeNotFound: http.StatusNotFound, codeStale: http.StatusConflict, codeHeld: http.StatusConflict,
	codeLockLost: http.StatusPreconditionFailed, codeUnreadable: http.StatusInternalServerError,
	codeAddress: http.StatusUnprocessableEntity, codeImage: http.StatusUnprocessableEntity,
	codeSetting: http.StatusUnprocessableEntity,
	CodeVersion: http.StatusUpgradeRequired, codeLeaving: http.StatusServiceUnavailable,
	codeNotProvisioned: http.StatusConflict, codeNoSpace: http.StatusInsufficientStorage,
	codeInvalid: http.StatusBadRequest, codeFailed: http.StatusInternalServerError,
}

// ErrInvalid is returned for a request that no client of this version sends.
var ErrInvalid = errors.New("invalid request")

// FailureOf is err as it goes over the wire.
func FailureOf(err error) Failure {
	f := Failure{Code: codeFailed, Message: err.Error()}
	var (
		held       *bluegreen.LockedError
		unreadable *durable.UnreadableError
		image      *images.Error
		setting    *process.SettingError
		address    *socket.AddressError
		version    *VersionError
	)
	switch {
	// These two say what to do, whatever their cause is.
	case durable.IsNoSpace(err):
		f.Code = codeNoSpace
	case errors.Is(err, bluegreen.ErrNotProvisioned):
		f.Code = codeNotProvisioned
	case errors.As(err, &held):
		f.Code, f.Holder = codeHeld, &held.Holder
	case errors.As(err, &unreadable):
		f.Code, f.Path, f.Message = codeUnreadable, unreadable.Path, unreadable.Err.Error()
	case errors.As(err, &image):
		f.Code, f.Path, f.Message = codeImage, image.Path, image.Err.Error()
	case errors.As(err, &setting):
		f.Code, f.Setting, f.Message = codeSetting, setting.Setting, setting.Err.Error()
	case errors.As(err, &address):
		f.Code, f.Address, f.Message = codeAddress, address, address.Err.Error()
	case errors.As(err, &version):
		f.Code, f.Agent = CodeVersion, &VersionReply{API: version.Agent, PID: version.PID}
	case errors.Is(err, bluegreen.ErrNotFound):
		f.Code = codeNotFound
	case errors.Is(err, bluegreen.ErrStale):
		f.Code = codeStale
	case errors.Is(err, ErrLockLost):
		f.Code = codeLockLost
	case errors.Is(err, ErrLeaving):
		f.Code = codeLeaving
	case errors.Is(err, ErrInvalid):
		f.Code = codeInvalid
	}
	return f
}

// remoteError is an error of the agent that matches a sentinel of this side.
type remoteError struct {
	message string
	is      error
}

func (e *remoteError) Error() string { return e.message }

func (e *remoteError) Unwrap() error { return e.is }

// Err is the error that the failure was made from, as far as callers tell
// errors apart.
func (f Failure) Err() error {
	cause := errors.New(f.Message)
	switch f.Code {
	case codeHeld:
		if f.Holder != nil {
			return &bluegreen.LockedError{Holder: *f.Holder}
		}
	case codeUnreadable:
		return &durable.UnreadableError{Path: f.Path, Err: cause}
	case codeImage:
		return &images.Error{Path: f.Path, Err: cause}
	case codeSetting:
		return &process.SettingError{Setting: f.Setting, Err: cause}
	case codeAddress:
		if f.Address != nil {
			address := *f.Address
			address.Err = cause
			return &address
		}
	case codeNotFound:
		return &remoteError{f.Message, bluegreen.ErrNotFound}
	case codeStale:
		return &remoteError{f.Message, bluegreen.ErrStale}
	case codeLockLost:
		return &remoteError{f.Message, ErrLockLost}
	case codeNotProvisioned:
		return &remoteError{f.Message, bluegreen.ErrNotProvisioned}
	case codeNoSpace:
		return &remoteError{f.Message, bluegreen.ErrNoSpace}
	case codeLeaving:
		return &remoteError{f.Message, ErrLeaving}
	}
	return cause
}

func NewDeploymentReply(doc store.Document, running, unready map[bluegreen.Environment]int) DeploymentReply {
	return DeploymentReply{
		Ledger: doc.Ledger, Key: doc.Ledger.Key, Running: running, Unready: unready,
		Endpoint: doc.Frontend.Endpoint(), Preview: doc.Frontend.PreviewEndpoint(),
	}
}

func (r DeploymentReply) Status() bluegreen.Status {
	ledger := r.Ledger
	ledger.Key = r.Key
	status := bluegreen.Status{
		Ledger: ledger, Running: r.Running, Unready: r.Unready, Endpoint: r.Endpoint, Preview: r.Preview,
	}
	if r.Outage != "" {
		status.Outage = &bluegreen.Outage{Cause: r.Outage, Next: "The agent tries again until it succeeds."}
	}
	return status
}
