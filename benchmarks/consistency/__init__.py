"""Whether the filter is as certain as it may be: on batches from its own prior, and on the plant's.

On batches whose truth is drawn from the filter's prior, two squares have known distributions
(Bar-Shalom, Li and Kirubarajan (2001), Estimation with Applications to Tracking and Navigation,
section 5.4):

- NEES, the squared estimation error normalised by the covariance: chi-square with as many degrees
  of freedom as unknowns. Errors of one batch hang together in time, so that an average over time
  has no simple band. Over N batches drawn independently, N times the average at one moment is
  chi-square with N times the degrees: the band holds at each moment, and 95 % of the moments should
  lie in it. The average over batches and moments is judged by its spread between batches.
- NIS, the squared innovation normalised by its variance: chi-square with one degree of freedom.
  Innovations of a consistent filter are independent in time, and of channel after channel in one
  row, so that they may be averaged over everything.

On recorded runs of the simulated plant, whose structure the filter's model lacks, no distribution
is known: what is counted is how often the truth lies in the 95 % band.
"""
