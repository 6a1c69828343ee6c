"""torch-fidelity's side of the FID bench: FILE FILE DIMENSIONS OUTCOME."""
import json, sys
import numpy as np
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from serve import serve

torch.set_num_threads(2)
first, second, dimensions, outcome = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


def work():
    features = [torch.from_numpy(np.fromfile(file, dtype=np.float32).reshape(-1, dimensions)) for file in (first, second)]
    statistics = [fid_features_to_statistics(x) for x in features]
    metric = fid_statistics_to_metric(*statistics, verbose=False)
    with open(outcome, "w") as file:
        json.dump({"fid": metric["frechet_inception_distance"]}, file)


serve(work, warmups=1)
