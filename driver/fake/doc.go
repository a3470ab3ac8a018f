// Package fake is the mock_driver: tasks without processes, which do what
// their config block says. Tests and simulated nodes run it.
//
//	run_for                 how long the task runs; nothing: it ends at once
//	exit_code, exit_signal  how it ends then
//	exit_err_msg            the message of that end
//	start_error             Start fails with it
//	start_error_recoverable … and another attempt may succeed
//	start_block_for         Start takes as long
//	kill_after              how long it goes on when it is told to stop
//	signal_error            Signal fails with it
//	stdout_string           written at the start
//	stdout_repeat           how often in all; 0 is once
//	stdout_repeat_duration  the time from one to the next
//	stderr_string           written at the start
//	exec_command            a block: what every command of Exec does, with
//	                        run_for, exit_code, stdout_string, stderr_string;
//	                        without it Exec echoes its input
//
// A task's state is a file in its StateDir, so it survives its driver like a
// real one: Recover goes on where the time has got to meanwhile. With a
// [VirtualClock] everything is deterministic.
package fake
