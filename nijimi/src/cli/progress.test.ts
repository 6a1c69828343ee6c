import { describe, expect, it } from "vitest";
import { formatDuration, progressLine, startProgress } from "./progress.ts";

/** A stream that keeps what is written, and a clock that is turned by hand. */
function recorder(isTTY: boolean) {
  const written: string[] = [];
  const clock = { now: 0 };
  const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) };
  const start = (label = "Sampling", total = 10) =>
    startProgress(stream, { label, total }, () => clock.now);
  return { written, clock, start };
}

describe("progress", () => {
  it("redraws one line on a terminal, at most ten times a second and never beyond its width", () => {
    const { written, clock, start } = recorder(true);
    const progress = start();
    for (let step = 1; step <= 10; step++) {
      clock.now += 50;
      progress.update(step, "x".repeat(100));
    }
    progress.end();
    progress.end();
    expect(written.filter((text) => text.startsWith("\r\x1b[2K"))).toHaveLength(6);
    expect(Math.max(...written.map((text) => text.length))).toBeLessThanOrEqual(60 + 4);
    expect(written.at(-2)).toContain("Sampling: 10/10 in 0.5 s");
    expect(written.at(-1)).toBe("\n");
  });

  it("writes a line now and then elsewhere, without escape sequences", () => {
    const { written, clock, start } = recorder(false);
    const progress = start("Training", 100);
    for (let step = 1; step <= 100; step++) {
      clock.now += 300;
      progress.update(step);
    }
    progress.end("kept");
    expect(written).toEqual([
      "Training 1/100 · 3.3 steps/s · 30 s left\n",
      "Training 35/100 · 3.3 steps/s · 20 s left\n",
      "Training 69/100 · 3.3 steps/s · 9.3 s left\n",
      "Training: kept in 30 s\n",
    ]);
  });

  it("shows seconds per step when slow, and no end without a total", () => {
    const line = progressLine({ label: "Epoch", unit: "epoch" }, 2, 8000, {
      bar: true,
      note: "loss 0.1",
    });
    expect(line).toBe("Epoch 2 epochs · 4.0 s/epoch · loss 0.1");
  });

  it("takes it when there is nowhere to write", () => {
    const progress = startProgress(undefined, { label: "x" }, () => 0);
    progress.update(1);
    progress.end();
  });
});

it.each([
  [0, "0.0 s"],
  [9_900, "9.9 s"],
  [9_990, "10 s"],
  [59_700, "1:00"],
  [3_725_000, "1:02:05"],
])("formats %d ms as %s", (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});
