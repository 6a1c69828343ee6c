import { describe, expect, it } from "vitest";
import { resolveSampler, samplerNames } from "./resolve.ts";
import { type SamplerName, SAMPLERS } from "./table.ts";

describe("resolveSampler", () => {
  it.each([
    ["Euler a", "euler-ancestral", undefined],
    ["DPM++ 2M Karras", "dpmpp-2m", "karras"],
    ["DPM++ 2M", "dpmpp-2m", undefined],
    ["DPM++ 2M SDE Exponential", "dpmpp-2m-sde", "exponential"],
    ["DPM++ 2M SDE Heun Karras", "dpmpp-2m-sde-heun", "karras"],
    ["DPM++ 3M SDE", "dpmpp-3m-sde", undefined],
    ["dpmpp_2m_sde_gpu", "dpmpp-2m-sde", undefined],
    ["dpmpp_2m_karras", "dpmpp-2m", "karras"],
    ["Euler SGM Uniform", "euler", "sgm-uniform"],
    ["Euler Uniform", "euler", "normal"],
    ["sample_dpmpp_2s_ancestral", "dpmpp-2s-ancestral", undefined],
    ["uni_pc", "unipc-bh1", undefined],
    ["uni_pc_bh2", "unipc-bh2", undefined],
    ["PLMS", "pndm", undefined],
    ["DDIM", "ddim", "ddim-uniform"],
    ["DPMSolverMultistepScheduler", "dpmpp-2m", undefined],
    ["KDPM2AncestralDiscreteScheduler", "dpm2-ancestral", undefined],
    ["LCM", "lcm", undefined],
    ["Restart", "restart", undefined],
    ["euler_cfg_pp", "euler-cfg-plus-plus", undefined],
  ])("%s", (name, sampler, schedule) => {
    expect(resolveSampler(name)).toEqual(schedule ? { sampler, schedule } : { sampler });
  });

  const own = Object.keys(SAMPLERS) as SamplerName[];

  it("knows every name of the table", () => {
    for (const sampler of own)
      for (const name of samplerNames(sampler)) expect(resolveSampler(name).sampler).toBe(sampler);
  });

  it("knows every name once", () => {
    const names = own.flatMap(samplerNames);
    expect(new Set(names).size).toBe(names.length);
  });

  it("refuses unknown names with the nearest ones", () => {
    expect(() => resolveSampler("eulr")).toThrow(/Unknown sampler "eulr"\. Did you mean "euler"/);
    expect(() => resolveSampler("DPM++ 2M Karas")).toThrow(/Did you mean/);
    expect(() => resolveSampler("")).toThrow(/Unknown sampler/);
  });
});
