// Package cli is the command line of Drover: everything behind
// "drover VERB".
//
// A verb is a value of type verb, made in a file of its own (job_run.go holds
// "job run") and listed once in verbs. It has a line for the overview, a text
// for "drover help VERB", its flags, and a function that runs it with an env:
// the streams, the environment variables, the colours, and a client made from
// the flags every verb shares. Verbs hold no state and take everything from
// their arguments, so tests run them in process with [Run].
//
// Flags may be written -flag or --flag, before or after the arguments. A verb
// ends with 0 when it did what it was asked, with 1 when it failed, and with
// another code only where its help says so.
//
// Answers go to standard output; errors, warnings and progress of no lasting
// value go to standard error. Colour and redrawing happen on a terminal only;
// NO_COLOR and -no-color turn colour off.
package cli
