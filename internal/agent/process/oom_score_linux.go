// SPDX-License-Identifier: MPL-2.0

package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A replica gets replicaOOMScore more than the agent, at most maxOOMScore, in the score by which the
// kernel chooses a process to end when memory is used up. So it goes before the agent, which carries
// the traffic of all.
const (
	replicaOOMScore = 200
	maxOOMScore     = 1000
	oomScoreFile    = "/proc/self/oom_score_adj"
)

// LeaveRoomForOOMScore lowers the score of this process, which is an agent, if that of its replicas
// could not be higher. An error says that this needs a right which the agent does not have.
func LeaveRoomForOOMScore() error {
	own, err := readOOMScore()
	if err != nil || own <= maxOOMScore-replicaOOMScore {
		return err
	}
	return writeOOMScore(maxOOMScore - replicaOOMScore)
}

// raiseOOMScore lets this process be ended before the agent, from which it has its score.
func raiseOOMScore() {
	if own, err := readOOMScore(); err == nil {
		// Everybody may raise it.
		_ = writeOOMScore(min(own+replicaOOMScore, maxOOMScore))
	}
}

func readOOMScore() (int, error) {
	text, err := os.ReadFile(oomScoreFile)
	if err != nil {
		return 0, err
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", oomScoreFile, err)
	}
	return score, nil
}

func writeOOMScore(score int) error {
	return os.WriteFile(oomScoreFile, []byte(strconv.Itoa(score)), 0)
}
