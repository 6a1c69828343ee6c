import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyRecipe } from "../testing/tiny-recipe.ts";
import type { RunEvent, RunOptions } from "./events.ts";
import { readLog } from "./log.node.ts";
import { resumedSettings, runRecipe } from "./run-recipe.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "nijimi-train-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function run(folder: string, options: Partial<RunOptions> = {}): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of runRecipe(tinyRecipe, tinyRecipe.settings, {
    folder: join(root, folder),
    threads: 1,
    ...options,
  }))
    events.push(event);
  return events;
}

const modelOf = (folder: string) => readFile(join(root, folder, "model", "model.bin"));

describe("runRecipe", () => {
  it("reports, logs, previews, saves checkpoints and the model", async () => {
    const events = await run("whole", { checkpointMinutes: 0, previewMinutes: 0, keep: 3 });
    expect(events[0]).toMatchObject({
      type: "run-start",
      update: 0,
      updates: 40,
      parameters: { model: 64 * 65 },
    });
    expect(events.at(-1)).toMatchObject({ type: "run-end", update: 40 });
    const count = (type: RunEvent["type"]) => events.filter((event) => event.type === type).length;
    expect([count("step-end"), count("checkpoint-saved")]).toEqual([40, 40]);
    expect([count("step-preview"), count("evaluation")]).toEqual([41, 41]);
    expect(await readdir(join(root, "whole", "checkpoints"))).toEqual([
      "update-00000038",
      "update-00000039",
      "update-00000040",
    ]);
    const log = await readLog(join(root, "whole", "metrics.jsonl"));
    expect(log.map(({ update }) => update)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(log[39].losses["model"]).toBeLessThan(log[0].losses["model"]);
    expect((await readdir(join(root, "whole", "previews"))).length).toBe(40);
    const page = await readFile(join(root, "whole", "report.html"), "utf8");
    expect(page).toContain("previews/noise-00000040.png");
    expect(await readFile(join(root, "whole", "evaluations.jsonl"), "utf8")).toContain(
      '"update":40',
    );
  });

  it("is resumed by name only, and by its own recipe", async () => {
    await expect(run("whole")).rejects.toThrow("go on with it (--resume)");
    await expect(run("nowhere", { resume: true })).rejects.toThrow("holds no run");
    const other = { ...tinyRecipe, name: "other" };
    const events = runRecipe(other, other.settings, { folder: join(root, "whole") });
    await expect(events.next()).rejects.toThrow('holds a run of "tiny"');
  });

  it("remembers its settings", async () => {
    expect(await resumedSettings(tinyRecipe, join(root, "nowhere"))).toEqual(tinyRecipe.settings);
    const changed = { ...tinyRecipe.settings, updates: 1, seed: 9 };
    const folder = join(root, "changed");
    for await (const _ of runRecipe(tinyRecipe, changed, { folder, threads: 1 }));
    expect(await resumedSettings(tinyRecipe, folder)).toEqual(changed);
  });

  it("stops after some minutes with a checkpoint, and goes on to the same bits", async () => {
    let time = 0;
    const now = () => (time += 1000);
    const events = await run("stopped", { minutes: 1, now });
    expect(events.at(-1)).toMatchObject({ type: "checkpoint-saved" });
    await run("stopped", { resume: true });
    expect(await modelOf("stopped")).toEqual(await modelOf("whole"));
    const log = await readLog(join(root, "stopped", "metrics.jsonl"));
    expect(log.map(({ update }) => update)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it("keeps what was learnt when the caller stops listening", async () => {
    for await (const event of runRecipe(tinyRecipe, tinyRecipe.settings, {
      folder: join(root, "left"),
      threads: 1,
    }))
      if (event.type === "step-end" && event.update === 9) break;
    expect(await readdir(join(root, "left", "checkpoints"))).toEqual(["update-00000009"]);
  });

  it("is not harmed by kill -9 at any moment", { timeout: 120_000 }, async () => {
    const folder = join(root, "killed");
    let kills = 0;
    for (let finished = false; !finished; kills++) {
      const started = (await readdir(join(folder, "checkpoints")).catch(() => [])).length > 0;
      finished = await runAndKill(folder, started, 1 + Math.floor(Math.random() * 60));
    }
    expect(kills).toBeGreaterThan(2);
    expect(await modelOf("killed")).toEqual(await modelOf("whole"));
  });
});

/** Runs in a process of its own, which is killed `milliseconds` after some of its updates; true when it ended first. */
function runAndKill(folder: string, resume: boolean, milliseconds: number): Promise<boolean> {
  const script = fileURLToPath(new URL("../testing/run-tiny.ts", import.meta.url));
  const options = JSON.stringify({ resume });
  const child = spawn(
    process.execPath,
    ["--conditions=@nijimi/source", "--import", "tsx", script, folder, options, "delay=8"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let updates = 0;
  child.stdout.on("data", (text: Buffer) => {
    updates += text.toString().split("\n").length - 1;
    if (updates >= 10) setTimeout(() => child.kill("SIGKILL"), milliseconds);
  });
  return new Promise((resolve) => child.on("exit", (code) => resolve(code === 0)));
}
