"""Records -> device batches: resampling and augmentation in one gather, streams, the device-resident set."""
