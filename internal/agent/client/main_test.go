// SPDX-License-Identifier: MPL-2.0

//go:build unix

package client_test

import (
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
)

func TestMain(m *testing.M) { agenttest.Main(m) }
