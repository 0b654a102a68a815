# SPDX-License-Identifier: MIT
"""Programs under the tracer without a recorder: control_tool plays it, and prints what is in the tables."""
from lib import check, run


class Tables:
    """A runtime folder, the programs that run in it, and what they left there."""

    def __init__(self, folder, hz=0):
        self.folder = folder
        self.dir = folder.new() / "run"
        self.tool("make", self.dir, hz)
        (self.dir / "lttng").mkdir()

    def tool(self, *argv):
        result = run([self.folder.programs / "control_tool", *argv])
        check(result.code == 0, f"control_tool {argv[0]}: {result.err.decode()}")
        return result.out.decode()

    def run(self, *argv, **more):
        env = {
            "FLIGHTREC_DIR": str(self.dir),
            "LTTNG_HOME": str(self.dir / "lttng"),
            "LTTNG_UST_REGISTER_TIMEOUT": "0",
            "LD_PRELOAD": str(self.folder.path / "lib" / "libflightrec.so.0"),
        }
        return run(argv, env=env, **more)

    def show(self, kind):
        """Lines of one kind as dictionaries; hexadecimal addresses that follow as `frames`."""
        rows = []
        for line in self.tool("show", self.dir).splitlines():
            words = line.split()
            if words[0] != kind:
                continue
            row = dict(x.split("=", 1) for x in words[1:] if "=" in x)
            row["frames"] = [
                int(x, 16) for x in words[1:] if all(c in "0123456789abcdef" for c in x)
            ]
            rows.append(row)
        return rows


class Functions:
    """Names of the addresses in stacks, by the symbol table of one program."""

    def __init__(self, program):
        lines = run(["nm", "-n", "--defined-only", program]).out.decode().split("\n")
        words = [x.split() for x in lines if len(x.split()) == 3]
        self.symbols = [(int(x[0], 16), x[2]) for x in words if x[1] in "tT"]
        self.path = str(program)

    def names(self, frames, modules):
        """The function of each frame; None outside the program."""
        base = next((int(x["base"], 16) for x in modules if x["path"] == self.path), None)
        inside = [x for x in modules if x["path"] == self.path]
        return [self.name(x - 1, base, inside) for x in frames]

    def name(self, address, base, modules):
        if not any(int(x["start"], 16) <= address < int(x["end"], 16) for x in modules):
            return None
        below = [name for start, name in self.symbols if start <= address - base]
        return below[-1] if below else None
