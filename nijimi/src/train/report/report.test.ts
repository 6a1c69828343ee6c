import { describe, expect, it } from "vitest";
import { curveSvg } from "./curve.ts";
import { reportHtml } from "./report.ts";

const line = (update: number) => ({
  update,
  epoch: 0,
  samples: update * 4,
  losses: { model: 1 / update },
  metrics: { kl: update },
  gradientNorms: {},
  learningRate: 1e-3,
  milliseconds: 500,
  waited: 5,
});

describe("reportHtml", () => {
  const page = reportHtml({
    recipe: "a <b>",
    settings: { channels: [1, 2], data: "x&y" },
    log: Array.from({ length: 50 }, (_, i) => line(i + 1)),
    evaluations: [
      { update: 10, psnr: 20 },
      { update: 20, psnr: 21 },
    ],
    sheets: [
      { name: "s", update: 10, source: "previews/s-10.png" },
      { name: "s", update: 20, source: "previews/s-20.png" },
    ],
  });

  it("has a curve per number, sheets with the latest first, and the settings", () => {
    for (const text of ["loss model (log): 0.02", "kl (log): 50", "psnr: 21", "learning rate"])
      expect(page).toContain(text);
    expect(page.indexOf("s-20.png")).toBeLessThan(page.indexOf("s-10.png"));
    expect(page).toContain("<code>[1,2]</code>");
    expect(page).toContain("50 updates · 200 samples");
    expect(page).toContain("1.0 % of the time waiting for data");
  });

  it("writes names as text", () => {
    expect(page).toContain("<h1>a &lt;b&gt;</h1>");
    expect(page).toContain("x&amp;y");
  });
});

describe("curveSvg", () => {
  it("spans its box, is thinned, and leaves out what is not finite", () => {
    const points = Array.from({ length: 5000 }, (_, x) => ({ x, y: x === 7 ? NaN : x }));
    const svg = curveSvg(points, { title: "t", log: false });
    const drawn = /<polyline points="([^"]*)"/.exec(svg)![1].split(" ");
    expect(drawn.length).toBeLessThanOrEqual(400);
    expect(drawn[0].startsWith("64.0,")).toBe(true);
    expect(drawn.at(-1)).toBe("552.0,8.0");
    expect(svg).not.toContain("NaN");
  });

  it("is nothing for no points", () => {
    expect(curveSvg([{ x: 1, y: Infinity }], { title: "t" })).toBe("");
  });
});
