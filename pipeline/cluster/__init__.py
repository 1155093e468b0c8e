"""Jobs on a Ray cluster: the driver that gives them to nodes, and the worker that runs them there.

Ray is imported only where a cluster is used, and in processes of its own: the driver's, which
`pipeline.jobs.worker` hosts, and those of the nodes. Only plain data crosses between them.
"""
