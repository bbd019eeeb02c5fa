// SPDX-License-Identifier: MPL-2.0

package health

// ErrExited is errExited, for the tests.
var ErrExited = errExited
