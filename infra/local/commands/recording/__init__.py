"""Records a run of `make demo` for the README.

    recording [--draw]

Writes docs/demo.cast, by asciinema (`asciinema play docs/demo.cast` shows it again), and draws it into docs/demo.svg.
--draw only draws the recording that is there. The secret of the stack, which is gone when the demo ends, is replaced by
SECRET.
"""
