// Package charttools pins the checkers of the chart: see `tool` in go.mod.
package charttools
