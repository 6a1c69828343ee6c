import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InternalError, NijimiError } from "../errors.ts";
import { type Command, defineCommand } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { type LineOptions, runLine } from "./testing/run-line.ts";

/** Runs a command line, where given with `test` as the only command. */
function run(
  line: readonly string[],
  { command, ...options }: LineOptions & { readonly command?: Command } = {},
) {
  const commands = command && {
    test: { description: command.description, load: async () => ({ command }) },
  };
  return runLine(line, { ...options, commands });
}

/** A command that does `body`. */
function doing(body: Command["run"]): Command {
  return defineCommand({
    description: "Test",
    options: { count: { type: "number", default: 1, description: "Count" } },
    examples: [{ command: "test --count 2", description: "Twice" }],
    run: body as never,
  }) as unknown as Command;
}

function throwing(error: unknown): Command {
  return doing(() => {
    throw error;
  });
}

describe("help", () => {
  it.each([[[]], [["--help"]], [["-h"]], [["help"]]])(
    "lists commands and exit codes for %j",
    async (line) => {
      const { code, stdout, stderr } = await run(line);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      for (const text of [...Object.keys(COMMANDS), "--json", "NIJIMI_HOME", "130"])
        expect(stdout).toContain(text);
      expect(stdout).not.toContain("\x1b");
    },
  );

  it.each(Object.keys(COMMANDS))(
    "of %s shows its options and examples, which parse",
    async (name) => {
      const { command } = await COMMANDS[name].load();
      const { code, stdout } = await run([name, "--whatever", "--help"]);
      expect(code).toBe(0);
      expect(command.description).toBe(COMMANDS[name].description);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const example of command.examples) {
        expect(stdout).toContain(`nijimi ${example.command}`);
        expect(example.command.split(" ")[0]).toBe(name);
      }
      expect(await run(["help", name])).toEqual(await run([name, "--help"]));
    },
  );

  it("is coloured on a terminal only, unless NO_COLOR is set", async () => {
    expect((await run(["--help"], { isTTY: true })).stdout).toContain("\x1b[1m");
    expect((await run(["--help"], { isTTY: true, env: { NO_COLOR: "1" } })).stdout).not.toContain(
      "\x1b",
    );
  });
});

describe("how a command ends", () => {
  it.each([
    [new NijimiError("option", "m"), 2],
    [new NijimiError("file", "m"), 3],
    [new NijimiError("checkpoint", "m"), 3],
    [new NijimiError("device", "m"), 4],
    [new NijimiError("memory", "m"), 5],
    [new NijimiError("runtime", "m"), 1],
    [new InternalError("m"), 70],
    [new TypeError("m"), 1],
  ])("%s gives exit code %d", async (error, expected) => {
    const { code, stdout, stderr } = await run(["test"], { command: throwing(error) });
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    expect(stderr).toContain(`Error: ${error.message}\n`);
    expect(stderr.includes("    at ")).toBe(expected === 70 || error instanceof TypeError);
  });

  it("refuses unknown commands and options with the nearest name", async () => {
    expect(await run(["versoin"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"version"'),
    });
    expect(await run(["version", "--jsn"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--json"),
    });
  });

  it("prints the result as text, and with --json as one document, errors included", async () => {
    const command = doing((values, { result }) =>
      result(values.count, (count) => `count ${String(count)}`),
    );
    expect(await run(["test", "--count", "3"], { command })).toMatchObject({
      code: 0,
      stdout: "count 3\n",
    });
    expect(await run(["test", "--json"], { command })).toMatchObject({ code: 0, stdout: "1\n" });
    const failed = await run(["test", "--json"], {
      command: throwing(new NijimiError("file", "gone")),
    });
    expect(JSON.parse(failed.stderr)).toEqual({ error: { code: "file", message: "gone" } });
  });

  it("keeps results on standard output and progress on standard error, which --quiet silences", async () => {
    const command = doing((_values, { progress, say, result }) => {
      say("starting");
      const display = progress({ label: "Work", total: 1 });
      display.update(1);
      display.end();
      result({}, () => "ready");
    });
    const { stdout, stderr } = await run(["test"], { command });
    expect(stdout).toBe("ready\n");
    expect(stderr).toContain("starting\nWork 1/1\nWork: 1/1");
    expect(await run(["test", "--quiet"], { command })).toMatchObject({
      stdout: "ready\n",
      stderr: "",
    });
  });

  it("ends with 130 when cancelled, whether the command throws, or stops and returns", async () => {
    const signal = AbortSignal.abort(new NijimiError("cancelled", "Cancelled."));
    for (const command of [
      doing((_values, { signal }) => signal.throwIfAborted()),
      doing(() => {}),
    ])
      expect(await run(["test"], { command, signal })).toEqual({
        code: 130,
        stdout: "",
        stderr: "Cancelled.\n",
      });
  });
});

describe("nijimi cache", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "nijimi-cache-"));
    for (const name of ["graphs/cpu", "downloads"])
      mkdirSync(join(folder, "cache", name), { recursive: true });
    writeFileSync(join(folder, "cache/graphs/cpu/a.onnx"), new Uint8Array(1500));
    writeFileSync(join(folder, "cache/downloads/b.bin"), new Uint8Array(20));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("measures, and clears a part or all of it", async () => {
    const env = { NIJIMI_HOME: folder };
    const shown = JSON.parse((await run(["cache", "--json"], { env })).stdout);
    expect(shown).toEqual({
      folder: join(folder, "cache"),
      action: "show",
      bytes: 1520,
      entries: [
        { name: "downloads", files: 1, bytes: 20 },
        { name: "graphs", files: 1, bytes: 1500 },
      ],
    });
    expect((await run(["cache", "clear", "graphs"], { env })).stdout).toContain(
      "1.5 kB  removed from",
    );
    expect(readdirSync(join(folder, "cache"))).toEqual(["downloads"]);
    expect((await run(["cache", "clear"], { env })).code).toBe(0);
    expect(readdirSync(join(folder, "cache"))).toEqual([]);
  });

  it("refuses names that are not in the cache, and is empty where there is none", async () => {
    const env = { NIJIMI_HOME: folder };
    expect((await run(["cache", "clear", "../models"], { env })).code).toBe(2);
    const nowhere = { NIJIMI_HOME: join(folder, "nowhere") };
    expect((await run(["cache"], { env: nowhere })).stdout).toContain("0 B  in");
  });
});
