// SPDX-License-Identifier: MPL-2.0

package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"time"
)

// DefaultStopTimeout is how long a replica may take to end after its stop signal.
const DefaultStopTimeout = 10 * time.Second

// DefaultStopSignal asks a replica to end.
const DefaultStopSignal = "SIGTERM"

// Settings say how the replicas of a release run. They are part of the release. The zero value
// is the default.
type Settings struct {
	// User runs the replicas: a name or a number; "" is the user of the agent. Group is the
	// same for their group; "" is that of the user.
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
	// Umask is an octal number; "" is that of the agent.
	Umask string `json:"umask,omitempty"`
	// StopTimeout is how long a replica may take to end after StopSignal; zero and "" are
	// DefaultStopTimeout and DefaultStopSignal.
	StopTimeout time.Duration `json:"stop_timeout,omitempty"`
	StopSignal  string        `json:"stop_signal,omitempty"`
	// Memory is how many bytes a replica may use, and CPUs how many processors; 0 is no limit.
	Memory int64   `json:"memory,omitempty"`
	CPUs   float64 `json:"cpus,omitempty"`
	// AllowNewPrivileges lets replicas get rights that their user has not.
	AllowNewPrivileges bool `json:"allow_new_privileges,omitempty"`
	// SocketActivation passes each replica a socket that listens on its port already.
	SocketActivation bool `json:"socket_activation,omitempty"`
	// FollowLinks copies what links lead to that leave the image.
	FollowLinks bool `json:"follow_links,omitempty"`
}

// SettingError is a setting that has no effect here.
type SettingError struct {
	// Setting is the name of the attribute.
	Setting string
	Err     error
}

func (e *SettingError) Error() string { return fmt.Sprintf("%s: %v", e.Setting, e.Err) }

func (e *SettingError) Unwrap() error { return e.Err }

// Identity implements bluegreen.Settings.
func (s Settings) Identity() string {
	// Strings, numbers and booleans always encode.
	encoded, _ := json.Marshal(s)
	return string(encoded)
}

// Check returns a *SettingError unless everything can have its effect.
func (s Settings) Check() error {
	limits, err := s.limits()
	if err != nil {
		return err
	}
	if _, err := ParseSignal(s.stopSignal()); err != nil {
		return &SettingError{"stop_signal", err}
	}
	if s.AllowNewPrivileges && hasNoNewPrivileges() {
		return &SettingError{"no_new_privileges", errors.New("the agent itself can get no new privileges, as its " +
			"service manager has set, and its replicas inherit that")}
	}
	return limits.check()
}

// stopTimeout returns the configured time, or the default.
func (s Settings) stopTimeout() time.Duration {
	if s.StopTimeout == 0 {
		return DefaultStopTimeout
	}
	return s.StopTimeout
}

func (s Settings) stopSignal() string {
	if s.StopSignal == "" {
		return DefaultStopSignal
	}
	return s.StopSignal
}

// stopOf returns the settings with which the run is stopped: those that it was started with, and
// s if that is not known.
func (s Settings) stopOf(run State) Settings {
	if run.StopSignal == "" {
		return s
	}
	return Settings{StopSignal: run.StopSignal, StopTimeout: run.StopTimeout}
}

// Terminate ends a run with the stop signal, and kills it after the stop timeout. It returns when
// all that the run has started has ended.
func (s Settings) Terminate(p *Process) {
	s = s.stopOf(p.State)
	signal, err := ParseSignal(s.stopSignal())
	if err != nil {
		signal = termSignal
	}
	p.Terminate(signal, s.stopTimeout())
}

// limits returns what the launcher applies. Names of users are looked up each time, because a
// user may get another number.
func (s Settings) limits() (Limits, error) {
	l := Limits{
		NoNewPrivileges: !s.AllowNewPrivileges && supportsLimits, Memory: s.Memory, CPUs: s.CPUs,
		SocketActivation: s.SocketActivation,
	}
	if s.Umask != "" {
		umask, err := ParseUmask(s.Umask)
		if err != nil {
			return Limits{}, &SettingError{"umask", err}
		}
		l.Umask = &umask
	}
	if s.User == "" && s.Group == "" {
		return l, nil
	}
	var err error
	l.User, err = LookUpUser(s.User, s.Group)
	return l, err
}

// ParseUmask reads an octal number of at most 0777.
func ParseUmask(text string) (int, error) {
	umask, err := strconv.ParseUint(text, 8, 32)
	if err != nil || umask > 0o777 {
		return 0, fmt.Errorf("%q is not an octal number from 000 to 777", text)
	}
	return int(umask), nil
}

// LookUpUser returns the user with this name or number, in this group. Without a group it is in
// that of its name. A number needs no entry in the system's list of users, but then a group. It
// returns a *SettingError for what does not exist.
func LookUpUser(name, group string) (*User, error) {
	if name == "" {
		return nil, &SettingError{"group", fmt.Errorf("it has no effect without a user")}
	}
	found, err := user.Lookup(name)
	if err != nil {
		found, err = user.LookupId(name)
	}
	number, numberErr := strconv.ParseUint(name, 10, 31)
	isUnlisted := err != nil && numberErr == nil
	switch {
	case isUnlisted && group == "":
		err := fmt.Errorf("user %s is not listed on this machine, so group must be set", name)
		return nil, &SettingError{"user", err}
	case isUnlisted:
		found = &user.User{Uid: strconv.FormatUint(number, 10)}
	case err != nil:
		return nil, &SettingError{"user", fmt.Errorf("there is no user %q on this machine", name)}
	}
	u := &User{name: found.Username, home: found.HomeDir}
	if u.UID, err = strconv.Atoi(found.Uid); err != nil {
		return nil, &SettingError{"user", fmt.Errorf("user %q has no number on this system", name)}
	}
	if group == "" {
		group = found.Gid
	}
	if u.GID, err = lookUpGroup(group); err != nil {
		return nil, &SettingError{"group", err}
	}
	u.Groups = []int{u.GID}
	if !isUnlisted {
		u.Groups = append(u.Groups, furtherGroups(found, u.GID)...)
	}
	return u, nil
}

// lookUpGroup returns the number of the group with this name or number.
func lookUpGroup(name string) (int, error) {
	found, err := user.LookupGroup(name)
	if err == nil {
		return strconv.Atoi(found.Gid)
	}
	if number, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(number), nil
	}
	return 0, fmt.Errorf("there is no group %q on this machine", name)
}

// furtherGroups returns the groups that list the user, except one.
func furtherGroups(u *user.User, except int) (list []int) {
	groups, err := u.GroupIds()
	if err != nil {
		return nil
	}
	for _, group := range groups {
		if number, err := strconv.Atoi(group); err == nil && number != except {
			list = append(list, number)
		}
	}
	return list
}
