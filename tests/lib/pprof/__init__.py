# SPDX-License-Identifier: MIT
"""A second opinion on profiles: proto reads them, rules judges them, legacy reads their text forms."""
