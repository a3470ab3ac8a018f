// Package cron says when a periodic job is due.
//
// Expressions have five fields, six with a year, or seven with seconds and a year, as
// github.com/hashicorp/cronexpr reads them, which is what users of the API
// know. Times are those of the clock on the wall of the job's time zone: where
// it is put forward, a time that does not exist is skipped or due an hour
// later, and where it is put back, one may be due twice.
package cron
