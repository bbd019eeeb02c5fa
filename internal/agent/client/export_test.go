// SPDX-License-Identifier: MPL-2.0

package client

import "time"

// SetSilence sets after what time the agent is asked whether it is there, and how long it may
// take to answer that.
func (c *Client) SetSilence(before, answer time.Duration) { c.silence = silence{before, answer} }
