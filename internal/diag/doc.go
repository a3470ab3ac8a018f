// Package diag serves what an agent tells of its own process: its log as it is
// written, profiles, and the machine it runs on.
//
// A Tee stands between the agent's loggers and its log. While nobody reads,
// it costs one atomic load per call of a logger; each reader has a level, a
// form and a bounded buffer of its own, and loses lines when it is slow, never
// the agent time. Who may read is decided before a request gets here.
package diag
