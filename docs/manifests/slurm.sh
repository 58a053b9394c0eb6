#!/bin/bash
#SBATCH --job-name=kcnn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --requeue

# Each task reads SLURM's variables; KCNN_PORT is the first port of each node (12340 if unset).
# The folder of checkpoints is on a file system that all nodes see.
srun python examples/09_many_processes.py --checkpoints "$SLURM_SUBMIT_DIR/checkpoints"
