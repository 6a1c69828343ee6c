"""torch-fidelity's side of the FID bench: FILE FILE DIMENSIONS OUTCOME.

Speaks the protocol of bench/lib/interleave.ts: prints "ready", then seconds for every line "run".
"""
import json, sys, time
import numpy as np
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

torch.set_num_threads(2)
first, second, dimensions, outcome = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


def work():
    features = [torch.from_numpy(np.fromfile(file, dtype=np.float32).reshape(-1, dimensions)) for file in (first, second)]
    statistics = [fid_features_to_statistics(x) for x in features]
    metric = fid_statistics_to_metric(*statistics, verbose=False)
    with open(outcome, "w") as file:
        json.dump({"fid": metric["frechet_inception_distance"]}, file)


work()
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "run":
        start = time.perf_counter()
        work()
        print(time.perf_counter() - start, flush=True)
