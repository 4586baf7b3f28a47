"""Who finds anomalies: our detector and others, on the same rows.

`protocols` says what is fitted and what is judged, `methods` who takes part, `judging` what is counted, and
`figures` draws it; `outside` runs in the environment of the opponents, and imports nothing of ours.
"""
